// Chooses the points that a sweep visits: a few that are spread evenly with `npm run lab`, all with `npm run lab:full`.
import type { DiskCall } from "./run-child.ts";

/** True with `npm run lab:full`. */
export function visitsEveryPoint(): boolean {
  return process.env.HUIYUAN_LAB === "1";
}

export interface Point {
  readonly call: DiskCall;
  readonly when: number;
}

/** Returns about `few` points, spread evenly over each call, at least one of each; all if `visitsEveryPoint()`. */
export function pick(calls: ReadonlyMap<DiskCall, number>, few: number): Point[] {
  const points = [...calls].flatMap(([call, count]) =>
    Array.from({ length: count }, (_, index): Point => ({ call, when: index + 1 })),
  );
  if (visitsEveryPoint()) return points;
  const share = Math.max(1, Math.ceil(few / calls.size));
  return [...calls].flatMap(([call, count]) =>
    Array.from({ length: Math.min(share, count) }, (_, index): Point => {
      const when = Math.ceil(((index + 0.5) * count) / Math.min(share, count));
      return { call, when };
    }),
  );
}

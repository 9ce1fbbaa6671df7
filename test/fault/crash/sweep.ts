// Chooses the points that a sweep visits: all of them in the lab, a few spread evenly at every commit.
import type { DiskCall } from "./run-child.ts";

/** True in `npm run lab`. */
export function isLab(): boolean {
  return process.env.HUIYUAN_LAB === "1";
}

export interface Point {
  readonly call: DiskCall;
  readonly when: number;
}

/** Returns about `few` of the points, spread evenly over each call, at least one of each; in the lab all of them. */
export function pick(calls: ReadonlyMap<DiskCall, number>, few: number): Point[] {
  const points = [...calls].flatMap(([call, count]) =>
    Array.from({ length: count }, (_, index): Point => ({ call, when: index + 1 })),
  );
  if (isLab()) return points;
  const share = Math.max(1, Math.ceil(few / calls.size));
  return [...calls].flatMap(([call, count]) =>
    Array.from({ length: Math.min(share, count) }, (_, index): Point => {
      const when = Math.ceil(((index + 0.5) * count) / Math.min(share, count));
      return { call, when };
    }),
  );
}

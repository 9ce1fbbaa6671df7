// Rates from the totals of the live figures: differences of two answers. Pure.
import type { LiveFigures } from "../contract.ts";

type Request = LiveFigures["requests"][number];
export type Total = (figures: LiveFigures) => number;

/** Answers behind the figures and the hit ratio; a single second says little. */
export const RECENT = 10;
/** Two neighbours that are farther apart are a gap in the plot. Seconds. */
const GAP = 5;

/** Unix seconds. */
export const timeOf = ({ at }: LiveFigures): number => Date.parse(at) / 1_000;

/** The requests that fit, since the start of the server. */
export function requestsOf({ requests }: LiveFigures, fits: (each: Request) => boolean): number {
  return requests.reduce((sum, each) => sum + (fits(each) ? each.count : 0), 0);
}

export const allRequests: Total = (figures) => requestsOf(figures, () => true);
export const failures: Total = (figures) => requestsOf(figures, ({ outcome }) => outcome === "error");
const hits: Total = (figures) => requestsOf(figures, ({ outcome }) => outcome === "hit");
const ratioed: Total = (figures) => requestsOf(figures, ({ outcome }) => outcome === "hit" || outcome === "miss");

/** The increase per second up to an answer. Null: the server has restarted, answers are missing, or it is the first. */
export function rateAt(total: Total, list: readonly LiveFigures[], index: number, steps = 1): number | null {
  const pair = pairAt(list, index, steps);
  if (pair === undefined) return null;
  const [from, to] = pair;
  const increase = total(to) - total(from);
  return increase < 0 ? null : increase / (timeOf(to) - timeOf(from));
}

/** The share of hits up to an answer. Null: nothing was asked, or as in rateAt(). */
export function hitRatioAt(list: readonly LiveFigures[], index: number): number | null {
  const pair = pairAt(list, index, RECENT);
  if (pair === undefined) return null;
  const [from, to] = pair;
  const asked = ratioed(to) - ratioed(from);
  return asked <= 0 ? null : (hits(to) - hits(from)) / asked;
}

/** Since the start of the server. */
export function hitRatioOf(figures: LiveFigures): number | null {
  return ratioed(figures) === 0 ? null : hits(figures) / ratioed(figures);
}

/** The latency of an origin at an answer. Undefined: a gap, as nothing was asked lately or answers are missing. */
export function latencyAt(list: readonly LiveFigures[], index: number, origin: string) {
  if (index > 0 && pairAt(list, index, 1) === undefined) return undefined;
  return list[index]?.origins.find(({ name }) => name === origin)?.latency;
}

/** The answer, and the one `steps` before it or the first one. */
function pairAt(list: readonly LiveFigures[], index: number, steps: number) {
  const [from, to] = [list[Math.max(0, index - steps)], list[index]];
  if (from === undefined || to === undefined) return undefined;
  const seconds = timeOf(to) - timeOf(from);
  return seconds <= 0 || seconds > steps - 1 + GAP ? undefined : ([from, to] as const);
}

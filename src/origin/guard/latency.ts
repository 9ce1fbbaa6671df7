// The latency of an origin's latest responses, for the console. The metrics have the series of all origins together.

/** Milliseconds from the first dial to the response head, of `count` responses. */
export interface LatencySummary {
  readonly count: number;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
}

export interface Latency {
  /** The origin's name. */
  readonly name: string;
  record(milliseconds: number): void;
  /** Values of the last `withinMs`; at most 256 are kept. */
  recent(withinMs: number): readonly number[];
}

const KEPT = 256;

/** `now`: milliseconds, never set back. */
export function createLatency(name: string, now: () => number): Latency {
  const values = new Float64Array(KEPT);
  const times = new Float64Array(KEPT).fill(Number.NEGATIVE_INFINITY);
  let next = 0;
  return {
    name,
    record(milliseconds) {
      values[next] = milliseconds;
      times[next] = now();
      next = (next + 1) % KEPT;
    },
    recent(withinMs) {
      const from = now() - withinMs;
      return [...values].filter((_, index) => (times[index] ?? 0) >= from);
    },
  };
}

/** Undefined without values. */
export function summaryOf(values: readonly number[]): LatencySummary | undefined {
  if (values.length === 0) return undefined;
  const sorted = values.toSorted((a, b) => a - b);
  const quantile = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
  return { count: sorted.length, p50Ms: quantile(0.5), p90Ms: quantile(0.9), p99Ms: quantile(0.99) };
}

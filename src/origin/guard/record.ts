// Records the recent history of an origin: the times until its response heads, and its last failures. It is for
// operators and decides nothing. Its size is constant, and only requests to the origin write to it.
import { type ErrorCode, errorRow, type HuiyuanError } from "../../core/errors.ts";

/** One failure, in fixed words: neither URLs nor credentials. */
export interface OriginFailure {
  /** Unix milliseconds. */
  readonly at: number;
  readonly code: ErrorCode;
  /** The origin's own status, if it responded. */
  readonly status: number | undefined;
  readonly text: string;
}

export interface OriginRecord {
  /** The origin's name. */
  readonly name: string;
  /** A response head arrived after this time; a 404 too. */
  answered(milliseconds: number): void;
  failed(error: HuiyuanError): void;
  /** The times of the last five minutes, of at most 512 requests. Milliseconds. */
  latencies(): readonly number[];
  /** At most 20, the newest first. */
  failures(): readonly OriginFailure[];
}

const MAX_LATENCIES = 512;
const LATENCIES_MS = 300_000;
export const MAX_FAILURES = 20;

export interface RecordOptions {
  /** Without credentials. */
  readonly name: string;
  /** Unix milliseconds. */
  readonly now: () => number;
}

export function createOriginRecord({ name, now }: RecordOptions): OriginRecord {
  /** A ring. */
  const samples: { readonly at: number; readonly milliseconds: number }[] = [];
  let next = 0;
  const failures: OriginFailure[] = [];
  return {
    name,
    answered(milliseconds) {
      samples[next] = { at: now(), milliseconds };
      next = (next + 1) % MAX_LATENCIES;
    },
    failed({ code, originStatus: status }) {
      failures.unshift({ at: now(), code, status, text: errorRow(code).text });
      failures.length = Math.min(failures.length, MAX_FAILURES);
    },
    latencies() {
      const since = now() - LATENCIES_MS;
      return samples.filter(({ at }) => at >= since).map(({ milliseconds }) => milliseconds);
    },
    failures: () => failures,
  };
}

/** Quantiles of response times, in milliseconds. */
export interface Latency {
  readonly requests: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/** Undefined without a time. Each quantile is one of the times (nearest rank). */
export function latencyOf(times: readonly number[]): Latency | undefined {
  if (times.length === 0) return undefined;
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.ceil(share * sorted.length) - 1] ?? 0;
  return { requests: sorted.length, p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) };
}

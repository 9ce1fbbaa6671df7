// Records the recent history of an origin: counts of its requests, the times until its response heads, and its last
// failures. It is for operators and decides nothing. Its size is constant, and only requests to the origin write to it.
import { type ErrorCode, errorRow, type HuiyuanError } from "../../../core/errors.ts";
import { createFailureWindow } from "./breaker.ts";

/** One failure, in fixed words and the object's key: neither URLs nor credentials. */
export interface OriginFailure {
  /** Unix milliseconds. */
  readonly at: number;
  readonly key: string;
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
  /** No usable response head came. */
  failed(failure: { readonly key: string; readonly error: HuiyuanError }): void;
  /** The body broke after `answered`. */
  bodyFailed(failure: { readonly key: string; readonly error: HuiyuanError }): void;
  /** The requests of the last five minutes, exact to a tenth of it. */
  outcomes(): Outcomes;
  /** The times of the last five minutes, of at most 512 requests. Milliseconds. */
  latencies(): readonly number[];
  /** At most 20, the newest first. */
  failures(): readonly OriginFailure[];
}

export interface Outcomes {
  readonly requests: number;
  readonly failed: number;
  /** Whether any succeeded. If there were none, whether the last earlier one did; undefined if there was none. */
  readonly isAnswering: boolean | undefined;
}

const MAX_LATENCIES = 512;
const RECENT_MS = 300_000;
export const MAX_FAILURES = 20;

export interface RecordOptions {
  /** Without credentials. */
  readonly name: string;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  /** Unix milliseconds. */
  readonly time: () => number;
}

export function createOriginRecord({ name, now, time }: RecordOptions): OriginRecord {
  /** A ring. */
  const samples: { readonly at: number; readonly milliseconds: number }[] = [];
  let next = 0;
  const failures: OriginFailure[] = [];
  const window = createFailureWindow(RECENT_MS);
  let hasAnswered: boolean | undefined;
  const bodyFailed: OriginRecord["bodyFailed"] = ({ key, error: { code, originStatus: status } }) => {
    window.failed(key, now());
    hasAnswered = false;
    failures.unshift({ at: time(), key, code, status, text: errorRow(code).text });
    failures.length = Math.min(failures.length, MAX_FAILURES);
  };
  return {
    name,
    answered(milliseconds) {
      window.counted(now());
      hasAnswered = true;
      samples[next] = { at: now(), milliseconds };
      next = (next + 1) % MAX_LATENCIES;
    },
    failed(failure) {
      window.counted(now());
      bodyFailed(failure);
    },
    bodyFailed,
    outcomes() {
      const { requests, failures: failed } = window.sums(now());
      return { requests, failed, isAnswering: requests === 0 ? hasAnswered : failed < requests };
    },
    latencies() {
      const since = now() - RECENT_MS;
      return samples.filter(({ at }) => at >= since).map(({ milliseconds }) => milliseconds);
    },
    failures: () => failures,
  };
}

/** Quantiles of response times, in milliseconds. */
export interface Latency {
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
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) };
}

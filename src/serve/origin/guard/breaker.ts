// The circuit breaker of one origin, shared by all requests to it. After enough failures it blocks requests for a
// while, then lets one through as a probe. It logs the beginning and the end of an outage.
import { HuiyuanError } from "../../../core/errors.ts";
import type { Log } from "../../../core/log.ts";

export interface BreakerRules {
  /** Opens after this many failures, if they are at least half of all requests and concern three different keys. */
  readonly failures: number;
  /** The time in which failures are counted. Milliseconds. */
  readonly withinMs: number;
  /** The time without requests before a probe. Milliseconds. */
  readonly openMs: number;
}

export interface BreakerOptions {
  readonly rules: BreakerRules;
  /** The origin's name in messages and the log, without credentials. */
  readonly name: string;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  readonly log: Log;
}

/** The kind of an admitted request. While the breaker is not closed, only a probe's outcome counts. */
export type Pass = "request" | "probe";

/** `half-open`: the time is over, and a probe is running or due. */
export type BreakerState = "closed" | "open" | "half-open";

/** Each pass ends in exactly one of `answered`, `failed` and `left`; after `answered` the body may still fail. */
export interface Breaker {
  /** The origin's name. */
  readonly name: string;
  readonly state: BreakerState;
  /** Milliseconds since the outage began; without one, since the breaker has been closed. */
  readonly stateMs: number;
  /** The error for requests that are blocked now (origin_failing); undefined if the next one is admitted. */
  refusal(): HuiyuanError | undefined;
  /** Throws the refusal. */
  enter(): Pass;
  /** The origin has responded, even if with a refusal. */
  answered(pass: Pass): void;
  /** The origin did not respond, or responded with its own error. */
  failed(pass: Pass, failure: { readonly key: string; readonly error: HuiyuanError }): void;
  /** The body stalled after `answered`. */
  bodyFailed(failure: { readonly key: string; readonly error: HuiyuanError }): void;
  /** The request ended without information about the origin. */
  left(pass: Pass): void;
}

const MIN_KEYS = 3;

interface Outage {
  readonly since: number;
  until: number;
  isProbing: boolean;
  probes: number;
}

/** Returns a closed breaker without counts. */
export function createBreaker({ rules, name, now, log }: BreakerOptions): Breaker {
  const window = createFailureWindow(rules.withinMs);
  let outage: Outage | undefined;
  let closedAt = now();

  function refusal(): HuiyuanError | undefined {
    if (outage === undefined) return undefined;
    const waitMs = outage.until - now();
    if (waitMs <= 0 && !outage.isProbing) return undefined;
    const found =
      waitMs > 0
        ? `it keeps failing, the next request is in ${Math.ceil(waitMs)} ms`
        : "it keeps failing, a probe is running";
    return new HuiyuanError("origin_failing", `Cannot send a request to ${name}: ${found}`, {
      retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1_000)),
    });
  }

  function openIfDue(error: HuiyuanError): void {
    const at = now();
    const { requests, failures, hasEnoughKeys } = window.sums(at);
    if (failures < rules.failures || failures * 2 < requests || !hasEnoughKeys) return;
    window.clear();
    const until = at + rules.openMs;
    outage = { since: at, until, isProbing: false, probes: 0 };
    const facts = { origin: name, failures, requests, withinMs: rules.withinMs, code: error.code, err: error };
    log.warn(facts, `an origin keeps failing: no requests to it except one probe every ${rules.openMs} ms`);
  }

  return {
    name,
    get state() {
      if (outage === undefined) return "closed";
      return outage.until > now() ? "open" : "half-open";
    },
    get stateMs() {
      return now() - (outage?.since ?? closedAt);
    },
    refusal,
    enter() {
      if (outage === undefined) return "request";
      const error = refusal();
      if (error !== undefined) throw error;
      outage.isProbing = true;
      outage.probes += 1;
      return "probe";
    },
    answered(pass) {
      if (outage === undefined) return window.counted(now());
      if (pass !== "probe") return;
      const downSeconds = Math.round((now() - outage.since) / 1_000);
      log.info({ origin: name, downSeconds, probes: outage.probes }, "an origin answers again");
      outage = undefined;
      closedAt = now();
    },
    failed(pass, { key, error }) {
      if (outage === undefined) {
        window.counted(now());
        window.failed(key, now());
        openIfDue(error);
      } else if (pass === "probe") {
        outage.isProbing = false;
        outage.until = now() + rules.openMs;
      }
    },
    bodyFailed({ key, error }) {
      if (outage !== undefined) return;
      window.failed(key, now());
      openIfDue(error);
    },
    left(pass) {
      if (pass === "probe" && outage !== undefined) outage.isProbing = false;
    },
  };
}

interface Slice {
  /** `now` divided by the slice's length. */
  readonly number: number;
  requests: number;
  failures: number;
  readonly keys: Set<string>;
}

const SLICES = 10;

/**
 * Counts the requests of the last `withinMs`, their failures and the keys of these, exact to a tenth of it. Its size is
 * constant under any load: time is divided into slices, and a slice stores at most `MIN_KEYS` keys.
 */
export function createFailureWindow(withinMs: number) {
  const sliceMs = withinMs / SLICES;
  let slices: Slice[] = [];

  function current(now: number): Slice {
    const number = Math.floor(now / sliceMs);
    const last = slices.at(-1);
    if (last?.number === number) return last;
    slices = slices.filter((slice) => slice.number > number - SLICES);
    const next: Slice = { number, requests: 0, failures: 0, keys: new Set() };
    slices.push(next);
    return next;
  }

  return {
    /** A request has ended with an outcome. */
    counted(now: number): void {
      current(now).requests += 1;
    },
    /** One of the counted requests was a failure. */
    failed(key: string, now: number): void {
      const slice = current(now);
      slice.failures += 1;
      if (slice.keys.size < MIN_KEYS) slice.keys.add(key);
    },
    sums(now: number) {
      current(now);
      const total = (of: "requests" | "failures") => slices.reduce((sum, slice) => sum + slice[of], 0);
      const keys = new Set(slices.flatMap((slice) => [...slice.keys]));
      return { requests: total("requests"), failures: total("failures"), hasEnoughKeys: keys.size >= MIN_KEYS };
    },
    clear(): void {
      slices = [];
    },
  };
}

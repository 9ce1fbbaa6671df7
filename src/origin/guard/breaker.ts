// The circuit breaker of one origin, shared by all who ask it: after enough failures the origin is left alone for a
// while, then one real request finds out whether it is well. It tells the story of an outage in a few log lines.
import { HuiyuanError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import { createFailureWindow } from "./failure-window.ts";

export interface BreakerRules {
  /** So many failures open it, when they are at least half of all requests and on three different keys. */
  readonly failures: number;
  /** Milliseconds in which they are counted. */
  readonly withinMs: number;
  /** Milliseconds for which the origin is left alone. */
  readonly openMs: number;
}

export interface BreakerOptions {
  readonly rules: BreakerRules;
  /** The origin in the log, without credentials. */
  readonly name: string;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  readonly log: Log;
}

/** What a request was let through as. Only a probe's outcome counts while the breaker is not closed. */
export type Pass = "request" | "probe";

/** `half-open`: the time is over, and a probe under way or awaited. */
export type BreakerState = "closed" | "open" | "half-open";

/** Each pass ends in exactly one of `answered`, `failed` and `left`; after `answered` a body may still fail. */
export interface Breaker {
  readonly state: BreakerState;
  /** Why nobody may ask now (origin_failing); undefined where the next may. */
  refusal(): HuiyuanError | undefined;
  /** Throws the refusal. */
  enter(): Pass;
  /** The origin has answered, if only to refuse. */
  answered(pass: Pass): void;
  /** It has not answered, or with its own error. */
  failed(pass: Pass, failure: { readonly key: string; readonly error: HuiyuanError }): void;
  /** Its body stopped coming, after `answered`. */
  bodyFailed(failure: { readonly key: string; readonly error: HuiyuanError }): void;
  /** Nothing was learnt. */
  left(pass: Pass): void;
}

const MIN_KEYS = 3;
// The second line of an outage comes after this time, each further one after twice the time of the one before.
const FIRST_REMINDER_MS = 120_000;

interface Outage {
  readonly since: number;
  until: number;
  isProbing: boolean;
  probes: number;
  remindAfterMs: number;
}

/** Closed, with nothing counted. */
export function createBreaker({ rules, name, now, log }: BreakerOptions): Breaker {
  const window = createFailureWindow(rules.withinMs, MIN_KEYS);
  let outage: Outage | undefined;

  function refusal(): HuiyuanError | undefined {
    if (outage === undefined) return undefined;
    const waitMs = outage.until - now();
    if (waitMs <= 0 && !outage.isProbing) return undefined;
    const found = waitMs > 0 ? `it keeps failing and is left alone for ${Math.ceil(waitMs)} ms` : "it is being tried";
    return new HuiyuanError("origin_failing", `Cannot ask ${name}: ${found}`, {
      retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1_000)),
    });
  }

  function openIfDue(error: HuiyuanError): void {
    const at = now();
    const { requests, failures, hasEnoughKeys } = window.sums(at);
    if (failures < rules.failures || failures * 2 < requests || !hasEnoughKeys) return;
    window.clear();
    const until = at + rules.openMs;
    outage = { since: at, until, isProbing: false, probes: 0, remindAfterMs: FIRST_REMINDER_MS };
    const facts = { origin: name, failures, requests, withinMs: rules.withinMs, code: error.code, err: error };
    log.warn(facts, `an origin keeps failing: it is left alone and tried again every ${rules.openMs} ms`);
  }

  function probeFailed(down: Outage, error: HuiyuanError): void {
    const at = now();
    down.until = at + rules.openMs;
    if (at - down.since < down.remindAfterMs) return;
    down.remindAfterMs *= 2;
    log.warn({ ...outageFields(down), code: error.code, err: error }, "an origin still fails");
  }

  function outageFields({ since, probes }: Outage): object {
    return { origin: name, downSeconds: Math.round((now() - since) / 1_000), probes };
  }

  return {
    get state() {
      if (outage === undefined) return "closed";
      return outage.until > now() ? "open" : "half-open";
    },
    refusal,
    enter() {
      const error = refusal();
      if (error !== undefined) throw error;
      if (outage === undefined) return "request";
      outage.isProbing = true;
      outage.probes += 1;
      return "probe";
    },
    answered(pass) {
      if (outage === undefined) return window.counted(now());
      if (pass !== "probe") return;
      log.info(outageFields(outage), "an origin answers again");
      outage = undefined;
    },
    failed(pass, { key, error }) {
      if (outage === undefined) {
        window.counted(now());
        window.failed(key, now());
        openIfDue(error);
      } else if (pass === "probe") {
        outage.isProbing = false;
        probeFailed(outage, error);
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

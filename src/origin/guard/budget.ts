// Limits the requests to one origin: connections, requests a second, and none during a pause that the origin asked for.
import { LiveSet } from "../../async/live-map.ts";
import { HuiyuanError } from "../../core/errors.ts";
import type { BreakerOptions } from "./breaker.ts";

export interface BudgetRules {
  /** The most requests whose body has not ended. */
  readonly connections: number;
  /** 0: unlimited. */
  readonly requestsPerSecond: number;
}

export interface BudgetOptions extends Omit<BreakerOptions, "rules"> {
  readonly rules: BudgetRules;
}

export interface Budget {
  /** The origin's name. */
  readonly name: string;
  /** origin_busy during a pause that the origin asked for. */
  refusal(): HuiyuanError | undefined;
  /**
   * Undefined: the request may be sent now. Otherwise resolves when it may, within `waitMs`. Rejects with origin_busy,
   * overloaded and the signal's reason. The caller ends every success with `leave`.
   */
  enter(signal: AbortSignal, waitMs: number): Promise<void> | undefined;
  /** `isUnused`: no request was sent after all. */
  leave(isUnused?: boolean): void;
  /** The origin responded 429 or 503 with a Retry-After of this many seconds; at most five minutes are obeyed. */
  pause(status: number, seconds: number): void;
  /** `pausedMs`: the rest of the pause. */
  usage(): { readonly running: number; readonly waiting: number; readonly pausedMs: number };
}

const MAX_PAUSE_MS = 300_000;
const MAX_WAITING = 1_000;
const RETRY_AFTER_SECONDS = 2;
// Consecutive pauses are logged once.
const LOG_AGAIN_MS = 60_000;

interface Waiter {
  admit(): void;
  refuse(error: unknown): void;
}

export function createBudget({ rules, name, now, log }: BudgetOptions): Budget {
  const { connections, requestsPerSecond: rate } = rules;
  const tokens = rate === 0 ? undefined : createTokenBucket(rate, now());
  const queue = new LiveSet<Waiter>();
  let running = 0;
  let pause: { readonly status: number; readonly until: number } | undefined;
  let loggedAt = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;

  function pausedMs(): number {
    return pause === undefined ? 0 : Math.max(0, pause.until - now());
  }

  function refusal(): HuiyuanError | undefined {
    const leftMs = pausedMs();
    if (pause === undefined || leftMs === 0) return undefined;
    const message = `Cannot send a request to ${name}: it answered ${pause.status}, paused for ${Math.ceil(leftMs)} ms`;
    return new HuiyuanError("origin_busy", message, {
      originStatus: pause.status,
      retryAfterSeconds: Math.ceil(leftMs / 1_000),
    });
  }

  function overloaded(found: string): HuiyuanError {
    return new HuiyuanError("overloaded", `Cannot send a request to ${name}: ${found}`, {
      retryAfterSeconds: RETRY_AFTER_SECONDS,
    });
  }

  /** Milliseconds until a request may be sent; Infinity if it depends on a `leave`. */
  function readyInMs(): number {
    if (running >= connections) return Number.POSITIVE_INFINITY;
    return Math.max(pausedMs(), tokens?.readyInMs(now()) ?? 0);
  }

  function start(): void {
    running += 1;
    tokens?.take(now());
  }

  /** Admits waiting requests, and sets a timer for the next one. */
  function admitWaiting(): void {
    clearTimeout(timer);
    for (let { first } = queue; first !== undefined; { first } = queue) {
      const inMs = readyInMs();
      if (inMs > 0) {
        if (inMs !== Number.POSITIVE_INFINITY) timer = setTimeout(admitWaiting, Math.ceil(inMs));
        return;
      }
      start();
      first.admit();
    }
  }

  function wait(signal: AbortSignal, waitMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = () => waiter.refuse(signal.reason);
      const expire = () => waiter.refuse(overloaded(`${running} requests run and ${queue.size} wait`));
      const timeout = setTimeout(expire, waitMs);
      const cleanUp = () => {
        leaveQueue();
        clearTimeout(timeout);
        signal.removeEventListener("abort", onAbort);
      };
      const waiter: Waiter = {
        admit() {
          cleanUp();
          resolve();
        },
        refuse(error) {
          cleanUp();
          reject(error);
          admitWaiting();
        },
      };
      signal.addEventListener("abort", onAbort);
      const leaveQueue = queue.add(waiter);
      admitWaiting();
    });
  }

  return {
    name,
    refusal,
    enter(signal, waitMs) {
      const refused = refusal();
      if (refused !== undefined) return Promise.reject(refused);
      if (signal.aborted) return Promise.reject(signal.reason);
      if (queue.size === 0 && readyInMs() === 0) {
        start();
        return undefined;
      }
      if (queue.size >= MAX_WAITING) return Promise.reject(overloaded(`${queue.size} requests wait`));
      return wait(signal, waitMs);
    },
    leave(isUnused = false) {
      running -= 1;
      if (isUnused) tokens?.giveBack();
      admitWaiting();
    },
    pause(status, seconds) {
      const until = now() + Math.min(seconds * 1_000, MAX_PAUSE_MS);
      if (until <= now() || until <= (pause?.until ?? 0)) return;
      pause = { status, until };
      if (now() - loggedAt >= LOG_AGAIN_MS) {
        loggedAt = now();
        log.warn(
          { origin: name, status, seconds: pausedMs() / 1_000 },
          "an origin has asked for a pause: no requests to it until then",
        );
      }
      const refused = refusal();
      for (const waiter of queue) waiter.refuse(refused);
    },
    usage: () => ({ running, waiting: queue.size, pausedMs: pausedMs() }),
  };
}

/**
 * A rate limit in requests a second, which saves up at most one second's worth. Full at `startedAt`. `perSecond` is
 * above 0; below 1 the bucket still holds one.
 */
export function createTokenBucket(perSecond: number, startedAt: number) {
  const size = Math.max(1, perSecond);
  let tokens = size;
  let at = startedAt;
  const refill = (now: number) => {
    tokens = Math.min(size, tokens + ((now - at) * perSecond) / 1_000);
    at = now;
  };
  return {
    /** Milliseconds until a token may be taken; 0 means now. */
    readyInMs(now: number): number {
      refill(now);
      const missing = 1 - tokens;
      // Less than a thousandth missing is a rounding error of floating point.
      return missing < 1e-3 ? 0 : (missing * 1_000) / perSecond;
    },
    /** Takes a token, even if there is none. */
    take(now: number): void {
      refill(now);
      tokens -= 1;
    },
    /** A token that was taken for nothing. */
    giveBack() {
      tokens = Math.min(size, tokens + 1);
    },
  };
}

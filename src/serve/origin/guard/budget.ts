// Limits the requests to one origin: connections, requests a second, and none during a pause that the origin asked for.
// A request that is admitted here has its place of the program too.
import { abortable } from "../../../async/cancellation.ts";
import { createSemaphore, type Release, type Semaphore } from "../../../async/semaphore.ts";
import { HuiyuanError } from "../../../core/errors.ts";
import type { BreakerOptions } from "./breaker.ts";

export interface BudgetRules {
  /** The most requests whose body has not ended. */
  readonly connections: number;
  /** 0: unlimited. */
  readonly requestsPerSecond: number;
}

export interface BudgetOptions extends Omit<BreakerOptions, "rules"> {
  readonly rules: BudgetRules;
  /** The fetches of the program. A place is taken only by a request that has one at its origin, so none waits here. */
  readonly fetches: Semaphore;
}

export interface Budget {
  /** The origin's name. */
  readonly name: string;
  readonly rules: BudgetRules;
  /** origin_busy during a pause that the origin asked for. */
  refusal(): HuiyuanError | undefined;
  /**
   * Takes a place at the origin, at once or within `waitMs`, then one of the program. Throws origin_busy, overloaded
   * and the signal's reason. The caller releases both.
   */
  enter(signal: AbortSignal, waitMs: number): Release | Promise<Release>;
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

export function createBudget({ rules, fetches, name, now, log }: BudgetOptions): Budget {
  const { connections, requestsPerSecond: rate } = rules;
  const tokens = rate === 0 ? undefined : createTokenBucket(rate, now());
  const places = createSemaphore(connections, { maxWaiting: MAX_WAITING, overloaded });
  /** Requests that have a place and wait for the rate limit. */
  let early = 0;
  let pause: { readonly status: number; readonly until: number } | undefined;
  let loggedAt = Number.NEGATIVE_INFINITY;

  function overloaded(running: number, waiting: number): HuiyuanError {
    const found = `${running - early} requests run and ${waiting + early} wait`;
    return new HuiyuanError("overloaded", `Cannot send a request to ${name}: ${found}`, {
      retryAfterSeconds: RETRY_AFTER_SECONDS,
    });
  }

  function refusal(): HuiyuanError | undefined {
    if (pause === undefined || pause.until <= now()) return undefined;
    const leftMs = pause.until - now();
    const message = `Cannot send a request to ${name}: it answered ${pause.status}, paused for ${Math.ceil(leftMs)} ms`;
    return new HuiyuanError("origin_busy", message, {
      originStatus: pause.status,
      retryAfterSeconds: Math.ceil(leftMs / 1_000),
    });
  }

  async function wait(signal: AbortSignal, waitMs: number): Promise<Release> {
    const until = now() + waitMs;
    const release = await places.acquire(signal, 1, waitMs);
    const inMs = tokens === undefined ? 0 : tokens.take(now(), until - now());
    if (inMs === undefined) {
      const error = overloaded(places.running, places.waiting);
      release();
      throw error;
    }
    try {
      if (inMs > 0) await untilTurn(inMs, signal);
      // A pause may have begun meanwhile.
      const refused = refusal();
      if (refused !== undefined) throw refused;
      return joinProgram(release);
    } catch (error) {
      tokens?.giveBack();
      release();
      throw error;
    }
  }

  /** Throws overloaded, and leaves the origin then. */
  function joinProgram(leaveOrigin: Release): Release {
    const leaveProgram = fetches.tryAcquire();
    if (leaveProgram === undefined) {
      leaveOrigin();
      const message = `Cannot fetch: ${fetches.running} fetches run, none is free`;
      throw new HuiyuanError("overloaded", message, { retryAfterSeconds: 1 });
    }
    return () => {
      leaveProgram();
      leaveOrigin();
    };
  }

  async function untilTurn(inMs: number, signal: AbortSignal): Promise<void> {
    early += 1;
    const turn = new Promise<void>((resolve) => void setTimeout(resolve, Math.ceil(inMs)).unref());
    await abortable(turn, signal).finally(() => {
      early -= 1;
    });
  }

  return {
    name,
    rules,
    refusal,
    enter(signal, waitMs) {
      const refused = pause && refusal();
      if (refused !== undefined) throw refused;
      const release = tokens === undefined ? places.tryAcquire() : undefined;
      return release === undefined ? wait(signal, waitMs) : joinProgram(release);
    },
    pause(status, seconds) {
      const until = now() + Math.min(seconds * 1_000, MAX_PAUSE_MS);
      if (until <= now() || until <= (pause?.until ?? 0)) return;
      pause = { status, until };
      if (now() - loggedAt >= LOG_AGAIN_MS) {
        loggedAt = now();
        log.warn(
          { origin: name, status, seconds: (until - now()) / 1_000 },
          "an origin has asked for a pause: no requests to it until then",
        );
      }
      places.refuseWaiting(refusal());
    },
    usage: () => ({
      running: places.running - early,
      waiting: places.waiting + early,
      pausedMs: Math.max(0, (pause?.until ?? 0) - now()),
    }),
  };
}

/**
 * A rate limit in requests a second, which saves up at most one second's worth. Full at `startedAt`. `perSecond` is
 * above 0; below 1 the bucket still holds one. `take` takes the next token, and returns the milliseconds until its
 * time; 0 means now. Undefined: that would be in more than `maxMs`, and none was taken. `giveBack`: a taken one was
 * not used.
 */
export function createTokenBucket(perSecond: number, startedAt: number) {
  const size = Math.max(1, perSecond);
  // Negative: so many are promised to requests that wait.
  let tokens = size;
  let at = startedAt;
  return {
    take(now: number, maxMs: number): number | undefined {
      tokens = Math.min(size, tokens + ((now - at) * perSecond) / 1_000);
      at = now;
      const missing = 1 - tokens;
      // Less than a thousandth missing is a rounding error of floating point.
      const inMs = missing < 1e-3 ? 0 : (missing * 1_000) / perSecond;
      if (inMs > maxMs) return undefined;
      tokens -= 1;
      return inMs;
    },
    giveBack(): void {
      tokens += 1;
    },
  };
}

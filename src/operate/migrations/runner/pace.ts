// Decides how many objects are copied at once, and how fast. They are fewer while source or target are overloaded:
// additive increase, multiplicative decrease. The limits on requests and bytes a second hold always.
import { setTimeout as delay } from "node:timers/promises";
import { createSemaphore, type Release } from "../../../async/semaphore.ts";
import type { ToolOptions } from "../config/config.ts";

export interface Pace {
  /** Resolves when an object may start; `isLimited` false: whatever the limits a second. Throws the signal's reason. */
  begin(signal: AbortSignal, isLimited?: boolean): Promise<Release>;
  succeeded(bytes: number): void;
  /** Source or target answered 429 or 5xx, or not in time. `retryAfterMs`: the pause that it asked for. */
  congested(retryAfterMs?: number): void;
}

/** An object may exceed the rate of bytes; the next ones start later then. */
export interface PaceOptions extends Pick<ToolOptions, "requestsPerSecond" | "bytesPerSecond"> {
  /** The upper bound, and the start; the lower bound is 1. */
  readonly concurrency: number;
}

/** Objects that are under way when the limit is halved fail for the same reason: they halve it once. */
const HALVE_EVERY_MS = 1_000;
/** A timer with a longer delay fires at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** `now`: monotonic milliseconds. */
export function createPace(options: PaceOptions, now = () => performance.now()): Pace {
  const { concurrency } = options;
  const places = createSemaphore(concurrency);
  const requests = createRate(options.requestsPerSecond, now);
  const bytes = createRate(options.bytesPerSecond, now);
  let limit = concurrency;
  let [halvedAt, pausedUntil] = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];

  function setLimit(next: number): void {
    if (Math.floor(next) !== Math.floor(limit)) places.resize(Math.floor(next));
    limit = next;
  }

  return {
    async begin(signal, isLimited = true) {
      const release = await places.acquire(signal);
      try {
        const waitMs = isLimited ? Math.max(requests.reserve(1), bytes.reserve(0), pausedUntil - now()) : 0;
        if (waitMs > 0) await delay(Math.min(waitMs, MAX_TIMER_MS), undefined, { signal });
        return release;
      } catch (error) {
        release();
        throw error;
      }
    },
    succeeded(count) {
      bytes.reserve(count);
      if (limit < concurrency) setLimit(Math.min(concurrency, limit + 1 / limit));
    },
    congested(retryAfterMs = 0) {
      pausedUntil = Math.max(pausedUntil, now() + retryAfterMs);
      if (now() < halvedAt + HALVE_EVERY_MS) return;
      halvedAt = now();
      setLimit(Math.max(1, limit / 2));
    },
  };
}

/** Milliseconds to wait before something of this amount may happen, in the order of the calls. */
function createRate(perSecond: number, now: () => number) {
  let freeAt = Number.NEGATIVE_INFINITY;
  return {
    reserve(amount: number): number {
      if (perSecond === 0) return 0;
      const startsAt = Math.max(freeAt, now());
      freeAt = startsAt + (1_000 * amount) / perSecond;
      return startsAt - now();
    },
  };
}

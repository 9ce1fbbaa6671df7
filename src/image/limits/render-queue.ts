// Who may render now: so many at once, and together never more memory, by estimate, than all processes may have, so that a
// crowd needs no more than the largest image alone. Those who wait do so in order, a bounded number for a bounded time.

import type { Cancellation } from "../../async/cancellation.ts";
import { HuiyuanError } from "../../core/errors.ts";
import { createSemaphore } from "./line.ts";

export interface RenderQueue {
  /**
   * Resolves when a place is free. Throws render_overloaded: the line is full, or `waitMs` has passed; and the signal's
   * reason when it aborts, which frees the place in the line at once.
   */
  enter(signal: Cancellation): Promise<Place>;
  /** Another number of places; fewer take effect as places are left. */
  resize(places: number): void;
  /** Places that are taken. */
  readonly running: number;
  readonly waiting: number;
}

/** A place that is taken; `leave` gives it back, once. */
export interface Place {
  /** Resolves when so many bytes fit beside those of the others. Throws as `enter` does. */
  weigh(bytes: number, signal: Cancellation): Promise<void>;
  leave(): void;
}

export interface RenderQueueOptions {
  readonly places: number;
  readonly maxWaiting: number;
  /** Milliseconds. */
  readonly waitMs: number;
  /** Of all who render together; one alone may have more. */
  readonly maxBytes: number;
}

const RETRY_AFTER_SECONDS = 2;

export function createRenderQueue({ maxWaiting, waitMs, maxBytes, ...options }: RenderQueueOptions): RenderQueue {
  let { places } = options;
  let [running, bytesRunning] = [0, 0];
  const forPlace = createSemaphore({ waitMs, expired: overloaded });
  const forBytes = createSemaphore({ waitMs, expired: overloaded });

  function overloaded(): HuiyuanError {
    const found = `${running} images are being processed and ${forPlace.length} wait`;
    const details = { retryAfterSeconds: RETRY_AFTER_SECONDS };
    return new HuiyuanError("render_overloaded", `Cannot process now: ${found}`, details);
  }

  function takePlace(): Place {
    let [weight, hasLeft] = [0, false];
    running += 1;
    return {
      weigh: (bytes, signal) =>
        forBytes.join(signal, {
          mayTake: () => bytesRunning === 0 || bytesRunning + bytes <= maxBytes,
          take: () => {
            weight += bytes;
            bytesRunning += bytes;
          },
        }),
      leave: () => {
        if (hasLeft) return;
        hasLeft = true;
        running -= 1;
        bytesRunning -= weight;
        forBytes.admit();
        forPlace.admit();
      },
    };
  }

  return {
    async enter(signal) {
      const claim = { mayTake: () => running < places, take: takePlace };
      if (running >= places && forPlace.length >= maxWaiting) throw overloaded();
      return forPlace.join(signal, claim);
    },
    resize(next) {
      places = next;
      forPlace.admit();
    },
    get running() {
      return running;
    },
    get waiting() {
      return forPlace.length;
    },
  };
}

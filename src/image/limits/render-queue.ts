// Who may render now: so many at once, and together never more memory, by estimate, than all processes may have, so that a
// crowd needs no more than the largest image alone. Those who wait do so in order, a bounded number for a bounded time.

import type { Cancellation } from "../../async/cancellation.ts";
import { HuiyuanError } from "../../core/errors.ts";
import { createSemaphore } from "./semaphore.ts";

export interface RenderQueue {
  /**
   * Resolves when a place is free. Throws render_overloaded: the line is full, or `waitMs` has passed; and the signal's
   * reason when it aborts, which frees the place in the line at once.
   */
  enter(signal: Cancellation): Promise<RenderSlot>;
  /** Another number of places; fewer take effect as places are left. */
  resize(slots: number): void;
  /** Places that are taken. */
  readonly running: number;
  readonly waiting: number;
}

/** A place that is taken; `leave` gives it back, once. */
export interface RenderSlot {
  /** Resolves when so many bytes fit beside those of the others. Throws as `enter` does. */
  reserve(bytes: number, signal: Cancellation): Promise<void>;
  release(): void;
}

export interface RenderQueueOptions {
  readonly slots: number;
  readonly maxWaiting: number;
  /** Milliseconds. */
  readonly waitMs: number;
  /** Of all who render together; one alone may have more. */
  readonly maxBytes: number;
}

const RETRY_AFTER_SECONDS = 2;

export function createRenderQueue({ maxWaiting, waitMs, maxBytes, ...options }: RenderQueueOptions): RenderQueue {
  let { slots } = options;
  let [running, bytesRunning] = [0, 0];
  const slotSemaphore = createSemaphore({ waitMs, expired: overloaded });
  const memorySemaphore = createSemaphore({ waitMs, expired: overloaded });

  function overloaded(): HuiyuanError {
    const found = `${running} images are being processed and ${slotSemaphore.length} wait`;
    const details = { retryAfterSeconds: RETRY_AFTER_SECONDS };
    return new HuiyuanError("render_overloaded", `Cannot process now: ${found}`, details);
  }

  function takeSlot(): RenderSlot {
    let [weight, hasLeft] = [0, false];
    running += 1;
    return {
      reserve: (bytes, signal) =>
        memorySemaphore.join(signal, {
          mayTake: () => bytesRunning === 0 || bytesRunning + bytes <= maxBytes,
          take: () => {
            weight += bytes;
            bytesRunning += bytes;
          },
        }),
      release: () => {
        if (hasLeft) return;
        hasLeft = true;
        running -= 1;
        bytesRunning -= weight;
        memorySemaphore.admit();
        slotSemaphore.admit();
      },
    };
  }

  return {
    async enter(signal) {
      const claim = { mayTake: () => running < slots, take: takeSlot };
      if (running >= slots && slotSemaphore.length >= maxWaiting) throw overloaded();
      return slotSemaphore.join(signal, claim);
    },
    resize(next) {
      slots = next;
      slotSemaphore.admit();
    },
    get running() {
      return running;
    },
    get waiting() {
      return slotSemaphore.length;
    },
  };
}

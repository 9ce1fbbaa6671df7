// Admits renders: a bounded number at once, and together within the estimated memory that all processes may have. A
// render that takes more than this limit runs alone. The queue is first in, first out, and bounded in length and time.

import type { Cancellation } from "../../async/cancellation.ts";
import { HuiyuanError } from "../../core/errors.ts";
import { createSemaphore } from "./semaphore.ts";

export interface RenderQueue {
  /**
   * Resolves when a slot is free. Throws render_overloaded if the queue is full or `waitMs` has passed. Throws the
   * signal's reason when the signal aborts, and leaves the queue at once.
   */
  enter(signal: Cancellation): Promise<RenderSlot>;
  /** Changes the number of slots. A lower number takes effect as slots are released. */
  resize(slots: number): void;
  /** Slots in use. */
  readonly running: number;
  readonly waiting: number;
}

/** A slot in use. The holder releases it; a second release has no effect. */
export interface RenderSlot {
  /** Reserves memory: resolves when this many bytes fit beside those of the other slots. Throws as `enter` does. */
  reserve(bytes: number, signal: Cancellation): Promise<void>;
  release(): void;
}

export interface RenderQueueOptions {
  readonly slots: number;
  readonly maxWaiting: number;
  /** Milliseconds. */
  readonly waitMs: number;
  /** Bytes reserved by all slots together; a single render may exceed it. */
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

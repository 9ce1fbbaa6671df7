// Decides in which queue an image waits before it is rendered: a bounded number at once, and together within the
// estimated memory that all processes may have. Large images share few slots, as many as memory allows (one on up to
// six cores), and wait for them in a queue of their own. Otherwise large images would occupy the common slots while
// they wait for memory, and small images would wait behind them. It does not estimate memory.
import type { Cancellation } from "../../../async/cancellation.ts";
import { createSemaphore, type Release, type Semaphore } from "../../../async/semaphore.ts";
import { HuiyuanError } from "../../../core/errors.ts";

export interface RenderScheduler extends Pick<Semaphore, "resize" | "running" | "waiting"> {
  /** `bytes`: expected memory. Throws as Semaphore.acquire. An abort leaves the queues at once. */
  enter(bytes: number, signal: Cancellation): Promise<RenderSlot>;
}

/** A slot in use. The holder releases it; a second release has no effect. */
export interface RenderSlot {
  /**
   * Called once. Resolves to true when this many bytes fit beside those of the other slots; a render that takes more
   * than all may have runs alone. False: it is large and all large slots are in use. The caller must then release this
   * slot and enter again. Throws as `enter` does.
   */
  reserve(bytes: number, signal: Cancellation): Promise<boolean>;
  release(): void;
}

export interface RenderSchedulerOptions {
  /** Renders at once. */
  readonly slots: number;
  /** Renders in each queue. */
  readonly maxWaiting: number;
  /** Milliseconds. */
  readonly waitMs: number;
  /** Bytes reserved by all slots together. */
  readonly maxBytes: number;
  /** A render that takes more bytes is large. */
  readonly largeBytes: number;
  /** Large renders at once. */
  readonly largeSlots: number;
}

export function createRenderScheduler(options: RenderSchedulerOptions): RenderScheduler {
  const { slots, maxWaiting, waitMs, maxBytes, largeBytes, largeSlots } = options;
  const common = createSemaphore(slots, { maxWaiting, waitMs, overloaded });
  const large = createSemaphore(largeSlots, { maxWaiting, waitMs, overloaded });
  // Only holders of a slot wait here, so that the slots bound the queue.
  const memory = createSemaphore(maxBytes, { maxWaiting: Number.POSITIVE_INFINITY, waitMs, overloaded });

  return {
    async enter(bytes, signal) {
      let releaseLarge = bytes > largeBytes ? await large.acquire(signal) : undefined;
      const releaseSlot = await common.acquire(signal).catch((error: unknown) => {
        releaseLarge?.();
        throw error;
      });
      let releaseMemory: Release | undefined;
      return {
        async reserve(needed, by) {
          if (needed > largeBytes && releaseLarge === undefined) {
            // Waiting here would keep a common slot from small images.
            if (large.running >= largeSlots) return false;
            releaseLarge = await large.acquire(by);
          }
          releaseMemory = await memory.acquire(by, needed);
          return true;
        },
        release() {
          releaseMemory?.();
          // The common slot first, so that small images already waiting precede the next large one.
          releaseSlot();
          releaseLarge?.();
        },
      };
    },
    resize: common.resize,
    get running() {
      return common.running;
    },
    get waiting() {
      return common.waiting + large.waiting;
    },
  };
}

const RETRY_AFTER_SECONDS = 2;

export function overloaded(running: number, waiting: number): HuiyuanError {
  const message = `Cannot process now: ${running} images are being processed and ${waiting} wait`;
  return new HuiyuanError("render_overloaded", message, { retryAfterSeconds: RETRY_AFTER_SECONDS });
}

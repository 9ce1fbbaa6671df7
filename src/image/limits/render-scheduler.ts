// Decides in which queue an image waits before it is rendered. Large images share few slots, as many as memory allows
// (one on up to six cores), and wait for them in a queue of their own. Otherwise large images would occupy the common
// slots while they wait for memory, and small images would wait behind them. It does not estimate memory.
import type { Cancellation } from "../../async/cancellation.ts";
import { createRenderQueue, type RenderQueue, type RenderQueueOptions, type RenderSlot } from "./render-queue.ts";

export interface RenderScheduler extends Pick<RenderQueue, "resize" | "running" | "waiting"> {
  /** `bytes`: expected memory. Resolves and throws as RenderQueue.enter. An abort leaves both queues at once. */
  enter(bytes: number, signal: Cancellation): Promise<ScheduledSlot>;
}

export interface ScheduledSlot extends RenderSlot {
  /**
   * Whether the render may continue although it takes this many bytes; called once, before `reserve`. False: it is
   * large and all large slots are in use. The caller must then release this slot and enter again.
   */
  admits(bytes: number, signal: Cancellation): Promise<boolean>;
}

export interface RenderSchedulerOptions extends RenderQueueOptions {
  /** A render that takes more bytes is large. */
  readonly largeBytes: number;
  /** Large renders at once. */
  readonly largeSlots: number;
}

export function createRenderScheduler(options: RenderSchedulerOptions): RenderScheduler {
  const { slots, maxWaiting, waitMs, maxBytes, largeBytes, largeSlots } = options;
  const queue = createRenderQueue({ slots, maxWaiting, waitMs, maxBytes });
  const largeQueue = createRenderQueue({ slots: largeSlots, maxWaiting, waitMs, maxBytes });
  const isLarge = (bytes: number) => bytes > largeBytes;

  function scheduledSlot(slot: RenderSlot, largeSlot: RenderSlot | undefined): ScheduledSlot {
    let held = largeSlot;
    return {
      reserve: slot.reserve,
      async admits(bytes, signal) {
        if (!isLarge(bytes) || held !== undefined) return true;
        // Waiting here would keep a common slot from small images.
        if (largeQueue.running >= largeSlots) return false;
        held = await largeQueue.enter(signal);
        return true;
      },
      release() {
        // The common slot first, so that small images already waiting precede the next large one.
        slot.release();
        held?.release();
      },
    };
  }

  return {
    async enter(bytes, signal) {
      if (!isLarge(bytes)) return scheduledSlot(await queue.enter(signal), undefined);
      const held = await largeQueue.enter(signal);
      try {
        return scheduledSlot(await queue.enter(signal), held);
      } catch (error) {
        held.release();
        throw error;
      }
    },
    resize: queue.resize,
    get running() {
      return queue.running;
    },
    get waiting() {
      return queue.waiting + largeQueue.waiting;
    },
  };
}

// In which lines an image stands before it is rendered. Large ones have but as many places as there is memory for them, one up
// to six cores, and wait for these in a line of their own: others would take a place only to wait there for memory, and small
// ones would wait for all of them.
import type { Cancellation } from "../../async/cancellation.ts";
import { createRenderQueue, type RenderQueue, type RenderQueueOptions, type RenderSlot } from "./render-queue.ts";

export interface RenderScheduler extends Pick<RenderQueue, "resize" | "running" | "waiting"> {
  /** `bytes`: that it is expected to take of memory. Resolves, and throws, as RenderQueue.enter; leaves either line at once. */
  enter(bytes: number, signal: Cancellation): Promise<ScheduledSlot>;
}

export interface ScheduledSlot extends RenderSlot {
  /**
   * Whether one that takes so many bytes after all may go on, to be asked once before it is weighed. False: it is large, and there
   * is no place for another; it must leave and enter anew.
   */
  admits(bytes: number, signal: Cancellation): Promise<boolean>;
}

export interface RenderSchedulerOptions extends RenderQueueOptions {
  /** What takes more is large. */
  readonly largeBytes: number;
  /** So many large ones at once. */
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
        // To wait here for another would be to keep the place from the small ones.
        if (largeQueue.running >= largeSlots) return false;
        held = await largeQueue.enter(signal);
        return true;
      },
      release() {
        // The next large one comes behind the small ones that wait already.
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

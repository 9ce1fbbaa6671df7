// In which lines an image stands before it is rendered. Large ones have but as many places as there is memory for them, one up
// to six cores, and wait for these in a line of their own: others would take a place only to wait there for memory, and small
// ones would wait for all of them.
import type { Cancellation } from "../../async/cancellation.ts";
import { createRenderQueue, type Place, type RenderQueue, type RenderQueueOptions } from "./render-queue.ts";

export interface RenderLines extends Pick<RenderQueue, "resize" | "running" | "waiting"> {
  /** `bytes`: that it is expected to take of memory. Resolves, and throws, as RenderQueue.enter; leaves either line at once. */
  enter(bytes: number, signal: Cancellation): Promise<Turn>;
}

export interface Turn extends Place {
  /**
   * Whether one that takes so many bytes after all may go on, to be asked once before it is weighed. False: it is large, and there
   * is no place for another; it must leave and enter anew.
   */
  admits(bytes: number, signal: Cancellation): Promise<boolean>;
}

export interface RenderLinesOptions extends RenderQueueOptions {
  /** What takes more is large. */
  readonly largeBytes: number;
  /** So many large ones at once. */
  readonly largePlaces: number;
}

export function createRenderLines({ largeBytes, largePlaces, ...options }: RenderLinesOptions): RenderLines {
  const common = createRenderQueue(options);
  const forLarge = createRenderQueue({ ...options, places: largePlaces });
  const isLarge = (bytes: number) => bytes > largeBytes;

  function turnAt(place: Place, forLargeOne: Place | undefined): Turn {
    let held = forLargeOne;
    return {
      weigh: place.weigh,
      async admits(bytes, signal) {
        if (!isLarge(bytes) || held !== undefined) return true;
        // To wait here for another would be to keep the place from the small ones.
        if (forLarge.running >= largePlaces) return false;
        held = await forLarge.enter(signal);
        return true;
      },
      leave() {
        // The next large one comes behind the small ones that wait already.
        place.leave();
        held?.leave();
      },
    };
  }

  return {
    async enter(bytes, signal) {
      if (!isLarge(bytes)) return turnAt(await common.enter(signal), undefined);
      const held = await forLarge.enter(signal);
      try {
        return turnAt(await common.enter(signal), held);
      } catch (error) {
        held.leave();
        throw error;
      }
    },
    resize: common.resize,
    get running() {
      return common.running;
    },
    get waiting() {
      return common.waiting + forLarge.waiting;
    },
  };
}

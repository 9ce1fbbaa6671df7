// Keeps one slow origin from taking every fill: so many fills of a mirror run at once, the next wait a while in line,
// and what waits too long, or finds the line full, is told to come again.

import { LiveSet } from "../../async/live-map.ts";
import { HuiyuanError } from "../../core/errors.ts";

export interface QueuedSemaphore {
  /** Undefined: a place was free and is taken. Else resolves when one is; rejects with overloaded after `waitMs`. */
  enter(): Promise<void> | undefined;
  /** Gives the place to whoever has waited longest. */
  leave(): void;
  readonly waiting: number;
}

export interface QueuedSemaphoreOptions {
  readonly places: number;
  readonly maxWaiting: number;
  readonly waitMs: number;
}

const RETRY_AFTER_SECONDS = 2;

export function createQueuedSemaphore({ places, maxWaiting, waitMs }: QueuedSemaphoreOptions): QueuedSemaphore {
  let free = places;
  const line = new LiveSet<() => void>();

  function overloaded(): HuiyuanError {
    const message = `Cannot fetch now: ${places} fetches of this mirror run and ${line.size} wait`;
    return new HuiyuanError("overloaded", message, { retryAfterSeconds: RETRY_AFTER_SECONDS });
  }

  function wait(): Promise<void> {
    return new Promise((resolve, reject) => {
      const expire = () => {
        goOut();
        reject(overloaded());
      };
      const timer = setTimeout(expire, waitMs);
      const goOut = line.add(() => {
        clearTimeout(timer);
        goOut();
        resolve();
      });
    });
  }

  return {
    enter() {
      if (free > 0) {
        free -= 1;
        return undefined;
      }
      return line.size >= maxWaiting ? Promise.reject(overloaded()) : wait();
    },
    leave() {
      const { first } = line;
      if (first === undefined) free += 1;
      else first();
    },
    get waiting() {
      return line.size;
    },
  };
}

// Two bounds on concurrent work. A fill limit refuses at once when all slots are taken. A queued semaphore lets
// requests wait, so that one slow origin does not take every slot: excess requests get overloaded with a Retry-After.

import { LiveSet } from "../../async/live-map.ts";
import { HuiyuanError } from "../../core/errors.ts";

/** A count of slots for the whole program; nothing waits here. */
export interface FillLimit {
  /** False: all slots are taken. */
  take(): boolean;
  free(): void;
  /** Resolves when no slot is taken. */
  empty(): Promise<void>;
  readonly taken: number;
  /** A lower bound takes effect as slots are freed. */
  resize(max: number): void;
}

export function createFillLimit(max: number): FillLimit {
  let taken = 0;
  let bound = max;
  let waiting: (() => void)[] = [];
  return {
    take() {
      if (taken >= bound) return false;
      taken += 1;
      return true;
    },
    free() {
      taken -= 1;
      if (taken > 0) return;
      for (const wake of waiting) wake();
      waiting = [];
    },
    empty: () => (taken === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
    get taken() {
      return taken;
    },
    resize(next) {
      bound = next;
    },
  };
}

/** The places of one mirror, with a bounded queue. */
export interface QueuedSemaphore {
  /** Undefined: a place was free and is taken. Else resolves once one is; rejects with overloaded after `waitMs`. */
  enter(): Promise<void> | undefined;
  /** Passes the place on to the request that has waited longest. */
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
  const queue = new LiveSet<() => void>();

  function overloaded(): HuiyuanError {
    const message = `Cannot fetch now: ${places} fetches of this mirror run and ${queue.size} wait`;
    return new HuiyuanError("overloaded", message, { retryAfterSeconds: RETRY_AFTER_SECONDS });
  }

  function wait(): Promise<void> {
    return new Promise((resolve, reject) => {
      const expire = () => {
        leaveQueue();
        reject(overloaded());
      };
      const timer = setTimeout(expire, waitMs);
      const leaveQueue = queue.add(() => {
        clearTimeout(timer);
        leaveQueue();
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
      return queue.size >= maxWaiting ? Promise.reject(overloaded()) : wait();
    },
    leave() {
      const { first } = queue;
      if (first === undefined) free += 1;
      else first();
    },
    get waiting() {
      return queue.size;
    },
  };
}

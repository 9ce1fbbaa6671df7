// A weighted semaphore for renders: slots count 1, memory counts bytes. Waiting is first in, first out, abortable, and
// bounded in length and time. It knows no images.
import type { Cancellation } from "../../async/cancellation.ts";
import { LiveSet } from "../../async/live-map.ts";
import { HuiyuanError } from "../../core/errors.ts";

export interface Semaphore {
  /**
   * Resolves when this weight fits beside those of the other holders; a single holder may exceed the capacity. Throws
   * render_overloaded if the queue is full or `waitMs` has passed. Throws the signal's reason when the signal aborts,
   * and leaves the queue at once.
   */
  acquire(weight: number, signal: Cancellation): Promise<Release>;
  /** Changes the capacity. A lower one takes effect as holders release. */
  resize(capacity: number): void;
  /** Number of holders. */
  readonly running: number;
  readonly waiting: number;
}

/** Ends the use; a second call has no effect. */
export type Release = () => void;

export interface SemaphoreOptions {
  readonly capacity: number;
  readonly maxWaiting: number;
  /** Milliseconds. */
  readonly waitMs: number;
}

interface Waiter {
  readonly weight: number;
  admit(): void;
}

const RETRY_AFTER_SECONDS = 2;

export function createSemaphore({ maxWaiting, waitMs, ...options }: SemaphoreOptions): Semaphore {
  let { capacity } = options;
  let [running, used] = [0, 0];
  const waiters = new LiveSet<Waiter>();

  function fits(weight: number): boolean {
    return running === 0 || used + weight <= capacity;
  }

  function take(weight: number): Release {
    let isHeld = true;
    running += 1;
    used += weight;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      running -= 1;
      used -= weight;
      admit();
    };
  }

  function admit(): void {
    for (let { first } = waiters; first !== undefined && fits(first.weight); { first } = waiters) first.admit();
  }

  function overloaded(): HuiyuanError {
    const found = `${running} images are being processed and ${waiters.size} wait`;
    const details = { retryAfterSeconds: RETRY_AFTER_SECONDS };
    return new HuiyuanError("render_overloaded", `Cannot process now: ${found}`, details);
  }

  function wait(weight: number, signal: Cancellation): Promise<Release> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", abort);
        remove();
      };
      const fail = (reason: unknown) => {
        leave();
        reject(reason);
        // The next one may weigh less and fit now.
        admit();
      };
      const abort = () => fail(signal.reason);
      const timer = setTimeout(() => fail(overloaded()), waitMs);
      const remove = waiters.add({
        weight,
        admit: () => {
          leave();
          resolve(take(weight));
        },
      });
      signal.addEventListener("abort", abort);
    });
  }

  return {
    async acquire(weight, signal) {
      if (signal.aborted) throw signal.reason;
      if (waiters.size === 0 && fits(weight)) return take(weight);
      if (waiters.size >= maxWaiting) throw overloaded();
      return wait(weight, signal);
    },
    resize(next) {
      capacity = next;
      admit();
    },
    get running() {
      return running;
    },
    get waiting() {
      return waiters.size;
    },
  };
}

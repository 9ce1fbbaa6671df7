// A queue of waiting callers: first in, first out, each for a bounded time, and each abortable. The caller defines the
// resource and counts its use; this file does neither, and it does not bound the length of the queue.
import type { Cancellation } from "../../async/cancellation.ts";
import { LiveSet } from "../../async/live-map.ts";

export interface Semaphore {
  readonly length: number;
  /**
   * Takes at once if the queue is empty and `mayTake` allows it; otherwise waits in the queue. Rejects with `expired()`
   * after `waitMs`, and with the signal's reason when the signal aborts.
   */
  join<Taken>(signal: Cancellation, claim: Claim<Taken>): Promise<Taken>;
  /** Admits waiting callers from the front, as far as they may take. Must be called after every release. */
  admit(): void;
}

export interface Claim<Taken> {
  mayTake(): boolean;
  /** Runs in the same turn of the event loop as `mayTake`, so that no other caller can take in between. */
  take(): Taken;
}

export interface SemaphoreOptions {
  /** Milliseconds. */
  readonly waitMs: number;
  readonly expired: () => Error;
}

interface Waiter {
  mayTake(): boolean;
  admit(): void;
}

export function createSemaphore({ waitMs, expired }: SemaphoreOptions): Semaphore {
  const waiters = new LiveSet<Waiter>();

  function admit(): void {
    for (let { first } = waiters; first?.mayTake() === true; { first } = waiters) first.admit();
  }

  function wait<Taken>(signal: Cancellation, { mayTake, take }: Claim<Taken>): Promise<Taken> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", abort);
        remove();
      };
      const fail = (reason: unknown) => {
        leave();
        reject(reason);
        // The next caller may need less and be admitted now.
        admit();
      };
      const abort = () => fail(signal.reason);
      const timer = setTimeout(() => fail(expired()), waitMs);
      const waiter: Waiter = {
        mayTake,
        admit: () => {
          leave();
          resolve(take());
        },
      };
      const remove = waiters.add(waiter);
      signal.addEventListener("abort", abort);
    });
  }

  return {
    get length() {
      return waiters.size;
    },
    async join(signal, claim) {
      if (signal.aborted) throw signal.reason;
      return waiters.size === 0 && claim.mayTake() ? claim.take() : wait(signal, claim);
    },
    admit,
  };
}

// A line of those who wait for something: in order of arrival, for a bounded time, and anyone may leave. What they wait for
// is the caller's affair.
import type { Cancellation } from "../../async/cancellation.ts";
import { LiveSet } from "../../async/live-map.ts";

export interface Semaphore {
  readonly length: number;
  /**
   * Takes at once when nobody waits and it may, else when its turn has come. Rejects with `expired()` after the time, with
   * the signal's reason when that aborts.
   */
  join<Taken>(signal: Cancellation, claim: Claim<Taken>): Promise<Taken>;
  /** Lets go who may, from the front; to be called whenever something was given back. */
  admit(): void;
}

export interface Claim<Taken> {
  mayTake(): boolean;
  /** Runs in the same turn as `mayTake`, so that nobody comes between. */
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
        // Whoever stood behind may want less.
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

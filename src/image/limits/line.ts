// A line of those who wait for something: in order of arrival, for a bounded time, and anyone may leave. What they wait for
// is the caller's affair.
import type { Leaving } from "../../async/cancellation.ts";
import { PassingSet } from "../../async/live-map.ts";

export interface Line {
  readonly length: number;
  /**
   * Takes at once when nobody waits and it may, else when its turn has come. Rejects with `expired()` after the time, with
   * the signal's reason when that aborts.
   */
  join<Taken>(signal: Leaving, wish: Wish<Taken>): Promise<Taken>;
  /** Lets go who may, from the front; to be called whenever something was given back. */
  admit(): void;
}

export interface Wish<Taken> {
  mayTake(): boolean;
  /** Runs in the same turn as `mayTake`, so that nobody comes between. */
  take(): Taken;
}

export interface LineOptions {
  /** Milliseconds. */
  readonly waitMs: number;
  readonly expired: () => Error;
}

interface Waiter {
  mayTake(): boolean;
  admit(): void;
}

export function createLine({ waitMs, expired }: LineOptions): Line {
  const waiters = new PassingSet<Waiter>();

  function admit(): void {
    for (let { first } = waiters; first?.mayTake() === true; { first } = waiters) first.admit();
  }

  function wait<Taken>(signal: Leaving, { mayTake, take }: Wish<Taken>): Promise<Taken> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", abort);
        goOut();
      };
      const giveUp = (reason: unknown) => {
        leave();
        reject(reason);
        // Whoever stood behind may want less.
        admit();
      };
      const abort = () => giveUp(signal.reason);
      const timer = setTimeout(() => giveUp(expired()), waitMs);
      const waiter: Waiter = {
        mayTake,
        admit: () => {
          leave();
          resolve(take());
        },
      };
      const goOut = waiters.add(waiter);
      signal.addEventListener("abort", abort);
    });
  }

  return {
    get length() {
      return waiters.size;
    },
    async join(signal, wish) {
      if (signal.aborted) throw signal.reason;
      return waiters.size === 0 && wish.mayTake() ? wish.take() : wait(signal, wish);
    },
    admit,
  };
}

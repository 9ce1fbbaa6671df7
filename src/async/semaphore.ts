// The limiter of the program: holders share a capacity, further callers wait in line, first in, first out. Places count
// 1 each, memory counts bytes. Waiting is abortable, and bounded in length and time if the options say so.
import type { Cancellation } from "./cancellation.ts";
import { LiveSet } from "./live-map.ts";

export interface Semaphore {
  /** Takes a weight that fits beside those of the other holders. Undefined: it does not fit, or others wait. */
  tryAcquire(weight?: number): Release | undefined;
  /**
   * As tryAcquire(), but waits. Throws `overloaded()` if the line is full or `waitMs` has passed. Throws the signal's
   * reason when the signal aborts, and leaves the line at once.
   */
  acquire(signal: Cancellation | undefined, weight?: number): Promise<Release>;
  /** Acquires a place, runs the task and releases the place. */
  run<Result>(task: () => Promise<Result>): Promise<Result>;
  /** Changes the capacity. A lower one takes effect as holders release. */
  resize(capacity: number): void;
  /** Resolves when there is no holder. */
  empty(): Promise<void>;
  /** Number of holders. */
  readonly running: number;
  readonly waiting: number;
}

/** Ends the use; a second call has no effect. */
export type Release = () => void;

export interface SemaphoreOptions {
  readonly maxWaiting: number;
  /** Milliseconds; undefined: without bound. */
  readonly waitMs?: number;
  readonly overloaded: (running: number, waiting: number) => Error;
}

interface Waiter {
  readonly weight: number;
  admit(): void;
}

/** A single holder may exceed the capacity. Without `line` the callers bound how many of them wait. */
export function createSemaphore(initial: number, line?: SemaphoreOptions): Semaphore {
  let capacity = initial;
  let [running, used] = [0, 0];
  const waiters = new LiveSet<Waiter>();
  let whenEmpty: (() => void)[] = [];

  function fits(weight: number): boolean {
    return (running === 0 && capacity > 0) || used + weight <= capacity;
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
      if (running > 0) return;
      for (const wake of whenEmpty) wake();
      whenEmpty = [];
    };
  }

  function admit(): void {
    for (let { first } = waiters; first !== undefined && fits(first.weight); { first } = waiters) first.admit();
  }

  function wait(signal: Cancellation | undefined, weight: number): Promise<Release> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", abort);
        remove();
      };
      const fail = (reason: unknown) => {
        leave();
        reject(reason);
        // The next one may weigh less and fit now.
        admit();
      };
      const abort = () => fail(signal?.reason);
      const expire = () => fail(line?.overloaded(running, waiters.size));
      const timer = line?.waitMs === undefined ? undefined : setTimeout(expire, line.waitMs);
      const remove = waiters.add({
        weight,
        admit() {
          leave();
          resolve(take(weight));
        },
      });
      signal?.addEventListener("abort", abort);
    });
  }

  async function acquire(signal: Cancellation | undefined, weight = 1): Promise<Release> {
    if (signal?.aborted === true) throw signal.reason;
    if (waiters.size === 0 && fits(weight)) return take(weight);
    if (line !== undefined && waiters.size >= line.maxWaiting) throw line.overloaded(running, waiters.size);
    return wait(signal, weight);
  }

  return {
    tryAcquire: (weight = 1) => (waiters.size === 0 && fits(weight) ? take(weight) : undefined),
    acquire,
    async run(task) {
      const release = await acquire(undefined);
      try {
        return await task();
      } finally {
        release();
      }
    },
    resize(next) {
      capacity = next;
      admit();
    },
    empty: () => (running === 0 ? Promise.resolve() : new Promise((resolve) => whenEmpty.push(resolve))),
    get running() {
      return running;
    },
    get waiting() {
      return waiters.size;
    },
  };
}

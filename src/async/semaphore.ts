// The limiter of the program: holders share a capacity, further callers wait in line, first in, first out. Places count
// 1 each, memory counts bytes. Waiting is abortable, and bounded in length and time if the options say so.
import type { Cancellation } from "./cancellation.ts";
import { LiveSet } from "./live-map.ts";

export interface Semaphore {
  /** Takes a weight that fits beside those of the other holders. Undefined: it does not fit, or others wait. */
  tryAcquire(weight?: number): Release | undefined;
  /**
   * As tryAcquire(), but waits. Throws `overloaded()` if the line is full or `waitMs` has passed; by default that of
   * the options. Throws the signal's reason when the signal aborts, and leaves the line at once.
   */
  acquire(signal: Cancellation | undefined, weight?: number, waitMs?: number): Promise<Release>;
  /** Rejects all waits with this reason. */
  refuseWaiting(reason: unknown): void;
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
  /** False: its weight does not fit yet. */
  admit(): boolean;
  refuse(reason: unknown): void;
}

/** A single holder may exceed the capacity. Without `line` the callers bound how many of them wait. */
export function createSemaphore(initial: number, line?: SemaphoreOptions): Semaphore {
  let capacity = initial;
  let [running, used] = [0, 0];
  const waiters = new LiveSet<Waiter>();
  let whenEmpty: (() => void)[] = [];

  /** Undefined: it does not fit. */
  function take(weight: number): Release | undefined {
    if ((running > 0 || capacity <= 0) && used + weight > capacity) return undefined;
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
    while (waiters.first?.admit() === true);
  }

  function tryAcquire(weight = 1): Release | undefined {
    return waiters.size === 0 ? take(weight) : undefined;
  }

  function wait(signal: Cancellation | undefined, weight: number, waitMs: number | undefined): Promise<Release> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", abort);
        remove();
      };
      const refuse = (reason: unknown) => {
        leave();
        reject(reason);
        // The next one may weigh less and fit now.
        admit();
      };
      const abort = () => refuse(signal?.reason);
      const expire = () => refuse(line?.overloaded(running, waiters.size));
      const timer = waitMs === undefined ? undefined : setTimeout(expire, waitMs);
      const remove = waiters.add({
        admit() {
          const release = take(weight);
          if (release === undefined) return false;
          leave();
          resolve(release);
          return true;
        },
        refuse,
      });
      signal?.addEventListener("abort", abort);
    });
  }

  async function acquire(signal: Cancellation | undefined, weight = 1, waitMs = line?.waitMs): Promise<Release> {
    if (signal?.aborted === true) throw signal.reason;
    const release = tryAcquire(weight);
    if (release !== undefined) return release;
    if (line !== undefined && waiters.size >= line.maxWaiting) throw line.overloaded(running, waiters.size);
    return wait(signal, weight, waitMs);
  }

  return {
    tryAcquire,
    acquire,
    refuseWaiting(reason) {
      for (const waiter of waiters) waiter.refuse(reason);
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

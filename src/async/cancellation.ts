// Lets a waiting client cancel, and tells the work that runs for it. Cheaper than an AbortController. Also ends a wait
// for work that continues.

import { setMaxListeners } from "node:events";
import { type ErrorCode, HuiyuanError } from "../core/errors.ts";
import { LiveSet } from "./live-map.ts";

/** The part of an AbortSignal that waiting code uses. Every AbortSignal satisfies it. */
export interface Cancellation {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(event: "abort", listener: () => void): void;
  removeEventListener(event: "abort", listener: () => void): void;
}

/** Rejects with the signal's reason if the signal aborts first; the work behind the promise continues. */
export function abortable<Value>(promise: Promise<Value>, signal: Cancellation): Promise<Value> {
  return new Promise((resolve, reject) => {
    const cancel = () => reject(signal.reason);
    if (signal.aborted) cancel();
    else signal.addEventListener("abort", cancel);
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", cancel));
  });
}

/** Settles as `promise` does. Throws `code` with `message` after the given milliseconds. */
export async function withTimeout<Result>(
  milliseconds: number,
  promise: Promise<Result>,
  message: string,
  code: ErrorCode = "store_failed",
): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new HuiyuanError(code, message)), milliseconds).unref();
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A controller and signal in one, at a tenth of AbortController's cost. A class, because every image makes one. */
export class CancellationSource<Reason = unknown> implements Cancellation {
  aborted = false;
  /** The reason of the cancellation; undefined until `aborted`. */
  reason: Reason | undefined;
  #listeners: Set<() => void> | undefined;

  addEventListener(_event: "abort", listener: () => void): void {
    if (this.aborted) return;
    this.#listeners ??= new Set();
    this.#listeners.add(listener);
  }

  removeEventListener(_event: "abort", listener: () => void): void {
    this.#listeners?.delete(listener);
  }

  /** Only the first call has an effect. */
  cancel(reason: Reason): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason;
    const listeners = this.#listeners ?? [];
    this.#listeners = undefined;
    for (const listener of listeners) listener();
  }
}

export interface SharedSignal {
  readonly signal: AbortSignal;
  /** Called when the signal aborts. */
  readonly listeners: Pick<LiveSet<() => void>, "add">;
}

/**
 * Adds one listener to a signal on behalf of many: an AbortSignal walks its list of listeners at every addition and
 * removal. It listens only while it has listeners itself, since the signal may outlive it.
 */
export function shareSignal(signal: AbortSignal): SharedSignal {
  const listeners = new LiveSet<() => void>();
  const notifyAll = () => {
    for (const listener of listeners) listener();
  };
  setMaxListeners(0, signal);
  return {
    signal,
    listeners: {
      add(listener) {
        if (listeners.size === 0) signal.addEventListener("abort", notifyAll);
        const remove = listeners.add(listener);
        return () => {
          const wasPresent = remove();
          if (listeners.size === 0) signal.removeEventListener("abort", notifyAll);
          return wasPresent;
        };
      },
    },
  };
}

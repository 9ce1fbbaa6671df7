// Adds one listener to a signal on behalf of many: an AbortSignal walks its list of listeners at every addition and
// removal, and every fetch of the program listens to the same signal.
import { LiveSet } from "./live-map.ts";

export interface SharedSignal {
  readonly signal: AbortSignal;
  /** Returns a function that removes the listener. */
  listen(listener: () => void): () => void;
}

/** Returns the shared form of a signal. A signal without listeners is not retained. */
export function createSharedSignals(): (signal: AbortSignal) => SharedSignal {
  const shared = new Map<AbortSignal, SharedSignal>();

  function share(signal: AbortSignal): SharedSignal {
    const listeners = new LiveSet<() => void>();
    const notifyAll = () => {
      for (const listener of listeners) listener();
    };
    const sharedSignal: SharedSignal = {
      signal,
      listen(listener) {
        if (listeners.size === 0) {
          signal.addEventListener("abort", notifyAll);
          shared.set(signal, sharedSignal);
        }
        const leave = listeners.add(listener);
        return () => {
          if (!leave() || listeners.size > 0) return;
          signal.removeEventListener("abort", notifyAll);
          shared.delete(signal);
        };
      },
    };
    return sharedSignal;
  }

  return (signal) => shared.get(signal) ?? share(signal);
}

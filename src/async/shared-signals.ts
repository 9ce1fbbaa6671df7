// One listener on a signal for all who listen to it: an AbortSignal walks through all of its listeners whenever one comes
// or goes, and every fetch of the program listens to the same one.
import { LiveSet } from "./live-map.ts";

export interface SharedSignal {
  readonly signal: AbortSignal;
  /** Returns what ends the listening. */
  listen(listener: () => void): () => void;
}

/** The signal as it is to be listened to. Nothing is kept of a signal that nobody listens to. */
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

// One listener on a signal for all who listen to it: an AbortSignal walks through all of its listeners whenever one comes
// or goes, and every fetch of the program listens to the same one.
import { PassingSet } from "../passing.ts";

/** As much of an AbortSignal as a lifetime needs. */
export interface SharedSignal {
  readonly aborted: boolean;
  readonly reason: unknown;
  /** Returns what ends the listening. */
  listen(listener: () => void): () => void;
}

/** The signal as it is to be listened to. Nothing is kept of a signal that nobody listens to. */
export function createSharedSignals(): (signal: AbortSignal) => SharedSignal {
  const shared = new Map<AbortSignal, SharedSignal>();

  function share(signal: AbortSignal): SharedSignal {
    const listeners = new PassingSet<() => void>();
    const tell = () => {
      for (const listener of listeners) listener();
    };
    return {
      get aborted() {
        return signal.aborted;
      },
      get reason() {
        return signal.reason;
      },
      listen(listener) {
        if (listeners.size === 0) {
          signal.addEventListener("abort", tell);
          shared.set(signal, this);
        }
        const leave = listeners.add(listener);
        return () => {
          if (!leave() || listeners.size > 0) return;
          signal.removeEventListener("abort", tell);
          shared.delete(signal);
        };
      },
    };
  }

  return (signal) => shared.get(signal) ?? share(signal);
}

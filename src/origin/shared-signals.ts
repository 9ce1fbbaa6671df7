// One listener on a signal for all who listen to it: an AbortSignal walks through all of its listeners whenever one comes
// or goes, and every fetch of the program listens to the same one.

/** As much of an AbortSignal as a lifetime needs; an AbortSignal is one. */
export interface Abortable {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(event: "abort", listener: () => void): void;
  removeEventListener(event: "abort", listener: () => void): void;
}

/** The signal as it is to be listened to. Nothing is kept of a signal that nobody listens to. */
export function createSharedSignals(): (signal: AbortSignal) => Abortable {
  const shared = new Map<AbortSignal, Abortable>();

  function share(signal: AbortSignal): Abortable {
    const listeners = new Set<() => void>();
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
      addEventListener(_event, listener) {
        if (listeners.size === 0) {
          signal.addEventListener("abort", tell);
          shared.set(signal, this);
        }
        listeners.add(listener);
      },
      removeEventListener(_event, listener) {
        if (!listeners.delete(listener) || listeners.size > 0) return;
        signal.removeEventListener("abort", tell);
        shared.delete(signal);
      },
    };
  }

  return (signal) => shared.get(signal) ?? share(signal);
}

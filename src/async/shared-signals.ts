// Adds one listener to a signal on behalf of many: an AbortSignal walks its list of listeners at every addition and
// removal, and every fetch of the program listens to the same signal.
import { setMaxListeners } from "node:events";
import { LiveSet } from "./live-map.ts";

export interface SharedSignal {
  readonly signal: AbortSignal;
  /** Called when the signal aborts. */
  readonly listeners: Pick<LiveSet<() => void>, "add">;
}

/** It listens to the signal only while it has listeners itself, since the signal may outlive it. */
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

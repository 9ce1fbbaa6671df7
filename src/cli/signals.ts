// Handles signals: SIGTERM and Ctrl-C stop the program in order; SIGHUP makes a server reload its settings.

/**
 * Resolves with the first of `signals`. A second signal of the same kind ends the process at once, as users expect.
 * After `over` is aborted it no longer listens, and never resolves.
 */
export function untilStopped(
  signals: readonly NodeJS.Signals[] = ["SIGTERM", "SIGINT"],
  over?: AbortSignal,
): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of signals) {
      const listener = () => resolve(signal);
      // Once: without a listener, the second signal has its default effect.
      process.once(signal, listener);
      over?.addEventListener("abort", () => process.off(signal, listener));
    }
  });
}

/** Thrown if the stop was not complete in time. The process must end at once, as by a second signal. */
export class HeldUp extends Error {
  override readonly name = "HeldUp";
  readonly signal: NodeJS.Signals;

  constructor(signal: NodeJS.Signals) {
    super(`Cannot stop in order after ${signal}: not everything was closed in time`);
    this.signal = signal;
  }
}

/** Calls `listener` at each SIGHUP. It is never removed, because a SIGHUP during the stop must not end the process. */
export function onHangUp(listener: () => void): void {
  process.on("SIGHUP", listener);
}

// Signals from outside: SIGTERM and Ctrl-C stop the program in order; a server that gets SIGHUP reads its settings again.

/**
 * Resolves with the first of `signals`. A second one of its kind ends the process at once, as a person expects who is in a
 * hurry. Once `over` is aborted it listens no more, and never resolves.
 */
export function untilStopped(
  signals: readonly NodeJS.Signals[] = ["SIGTERM", "SIGINT"],
  over?: AbortSignal,
): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of signals) {
      const listener = () => resolve(signal);
      // Once: the second signal finds no listener and has its default effect.
      process.once(signal, listener);
      over?.addEventListener("abort", () => process.off(signal, listener));
    }
  });
}

/** The stop is over, and something did not end with it: the process is to end as by a second signal, and nothing is waited for. */
export class HeldUp extends Error {
  override readonly name = "HeldUp";
  readonly signal: NodeJS.Signals;

  constructor(signal: NodeJS.Signals) {
    super(`Cannot end in order after ${signal}: not everything was closed in time`);
    this.signal = signal;
  }
}

/** Calls `listener` with each SIGHUP, for good: one that comes during the stop must not end the process. */
export function onHangUp(listener: () => void): void {
  process.on("SIGHUP", listener);
}

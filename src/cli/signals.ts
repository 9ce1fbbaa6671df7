// Waiting for the end: SIGTERM and Ctrl-C stop the program in order.

/** Resolves with the first signal. A second one ends the process at once, as a person expects who is in a hurry. */
export function untilStopped(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      // Once: the second signal finds no listener and has its default effect.
      process.once(signal, () => resolve(signal));
    }
  });
}

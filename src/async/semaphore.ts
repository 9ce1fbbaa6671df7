// Runs at most so many tasks at once. A bounded number of further ones waits, first come, first served.

/** `places` and `maxWaiting` are inclusive. Beyond both the returned function throws `full()`. */
export function createSemaphore(parts: {
  readonly places: number;
  readonly maxWaiting: number;
  readonly full: () => Error;
}): <Result>(run: () => Promise<Result>) => Promise<Result> {
  const { places, maxWaiting, full } = parts;
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (run) => {
    if (running < places) running += 1;
    else if (waiting.length >= maxWaiting) throw full();
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await run();
    } finally {
      const next = waiting.shift();
      // The place passes on to the next task.
      if (next === undefined) running -= 1;
      else next();
    }
  };
}

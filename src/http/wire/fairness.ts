// Resumes connections with much buffered input one at a time, one in each turn of the event loop. libuv accepts one
// connection a turn: if five hundred such clients resumed in one turn, all others would wait for seconds.

export interface Fairness {
  /** Calls `next` in a later turn of the event loop, after the callers before it. */
  wait(next: () => void): void;
}

export function createFairness(): Fairness {
  const waiting = new Set<() => void>();

  function run(): void {
    const [next] = waiting;
    if (next === undefined) return;
    waiting.delete(next);
    if (waiting.size > 0) setImmediate(run);
    next();
  }

  return {
    wait(next) {
      waiting.add(next);
      if (waiting.size === 1) setImmediate(run);
    },
  };
}

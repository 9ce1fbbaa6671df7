// Connections that have sent far ahead go on one after the other, one in each turn of the event loop: libuv accepts one connection in
// each, so that five hundred such clients that all went on in one would have everybody else wait for seconds.

export interface Fairness {
  /** Calls `next` when its turn has come, in another turn of the loop. */
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

// Divides long work on the event loop, so that downloads go on meanwhile.
import { setImmediate as nextTurn } from "node:timers/promises";

const SHARE_MS = 8;

/**
 * Returns a function to await between the steps of long work. Once the steps since the last pause have taken 8 ms, it
 * lets everything else that is ready run first. A step itself is not divided.
 */
export function createPauses(): () => Promise<void> {
  let began = performance.now();
  return async () => {
    if (performance.now() - began < SHARE_MS) return;
    await nextTurn();
    began = performance.now();
  };
}

/** Returns what `make` makes of each item, and pauses in between. */
export async function collect<Item, Result>(all: Iterable<Item>, make: (item: Item) => Result): Promise<Result[]> {
  const pause = createPauses();
  const results: Result[] = [];
  for (const item of all) {
    results.push(make(item));
    await pause();
  }
  return results;
}

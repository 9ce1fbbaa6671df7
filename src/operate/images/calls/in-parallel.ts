// Works on many items concurrently and yields the results in the order in which the work ends.
import { createPauses } from "../../../async/pauses.ts";

export interface ParallelOptions<Item, Result> {
  /** Concurrent items; at least 1. */
  readonly places: number;
  /** Must not throw: a failure is a result. */
  readonly work: (item: Item) => Promise<Result>;
  /** Resolves when the next item may start. */
  readonly pace?: (() => Promise<void>) | undefined;
  /** After its abort no item starts. */
  readonly signal: AbortSignal;
}

/**
 * Yields what has ended whenever the next item starts, and starts none while its reader is busy. An error of `items` or
 * `pace` is thrown after all started work has ended.
 */
export async function* inParallel<Item, Result>(
  items: AsyncIterable<Item> | Iterable<Item>,
  { places, work, pace, signal }: ParallelOptions<Item, Result>,
): AsyncGenerator<Result, void, undefined> {
  const running = new Set<Promise<void>>();
  const finished: Result[] = [];
  // Many works may end without any input or output, such as those for an origin that is not requested for a while.
  const pause = createPauses();
  try {
    for await (const item of items) {
      if (signal.aborted) break;
      await pause();
      await pace?.();
      const started = work(item).then((result) => {
        running.delete(started);
        finished.push(result);
      });
      running.add(started);
      if (running.size === places) await Promise.race(running);
      yield* finished.splice(0);
    }
    while (running.size > 0) {
      await Promise.race(running);
      yield* finished.splice(0);
    }
    // The last works may have ended before the items did.
    yield* finished;
  } finally {
    await Promise.all(running);
  }
}

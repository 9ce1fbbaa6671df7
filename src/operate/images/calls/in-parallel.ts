// Works on many items concurrently and yields each result when it is ready. It starts at most one further item while
// its reader is busy, so that results do not pile up.
import { createPauses } from "../../../async/pauses.ts";

export interface ParallelOptions<Item, Result> {
  /** Concurrent items; at least 1. */
  readonly places: number;
  /** Must not throw: a failure is a result. */
  readonly work: (item: Item) => Promise<Result>;
  /** Resolves when the next item may start. */
  readonly pace?: (() => Promise<void>) | undefined;
}

/**
 * Yields in the order in which the work ends. An error of `items` or `pace` is thrown after all started work has ended.
 */
export async function* inParallel<Item, Result>(
  items: AsyncGenerator<Item, void, undefined>,
  { places, work, pace }: ParallelOptions<Item, Result>,
): AsyncGenerator<Result, void, undefined> {
  const running = new Set<Promise<void>>();
  const finished: Result[] = [];
  let upcoming: Promise<void> | undefined;
  let isEnd = false;
  // Many works may end without any input or output, such as those for an origin that is not requested for a while.
  const pause = createPauses();

  async function startNext(): Promise<void> {
    const next = await items.next();
    if (next.done === true) isEnd = true;
    else {
      await pause();
      await pace?.();
      const started = work(next.value).then((result) => {
        running.delete(started);
        finished.push(result);
      });
      running.add(started);
    }
    upcoming = undefined;
  }

  try {
    for (;;) {
      while (finished.length > 0) yield finished.shift() as Result;
      if (!isEnd && running.size < places) upcoming ??= startNext();
      const events = upcoming === undefined ? [...running] : [...running, upcoming];
      if (events.length === 0) return;
      await Promise.race(events);
    }
  } finally {
    await Promise.allSettled([upcoming]);
    await Promise.allSettled(running);
    await items.return();
  }
}

/** Yields the items until the signal aborts. */
export async function* untilAborted<Item>(
  items: AsyncIterable<Item> | Iterable<Item>,
  signal: AbortSignal,
): AsyncGenerator<Item, void, undefined> {
  for await (const item of items) {
    if (signal.aborted) return;
    yield item;
  }
}

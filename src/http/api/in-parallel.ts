// Works on many items concurrently and yields each result when it is ready. It starts no further item while its reader
// is busy, so that results do not pile up.

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
  /** Each event resolves with the function that applies it and returns the results to yield. */
  type Event = Promise<() => readonly Result[]>;
  const running = new Set<Event>();
  let upcoming: Event | undefined;
  let isEnd = false;

  function start(item: Item): void {
    const event: Event = work(item).then((result) => () => {
      running.delete(event);
      return [result];
    });
    running.add(event);
  }
  async function takeNext(): Promise<() => readonly Result[]> {
    const next = await items.next();
    if (next.done !== true) await pace?.();
    return () => {
      upcoming = undefined;
      if (next.done === true) isEnd = true;
      else start(next.value);
      return [];
    };
  }

  try {
    for (;;) {
      if (!isEnd && running.size < places) upcoming ??= takeNext();
      const events = upcoming === undefined ? [...running] : [...running, upcoming];
      if (events.length === 0) return;
      const apply = await Promise.race(events);
      yield* apply();
    }
  } finally {
    await Promise.allSettled([...running, upcoming]);
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

// Works on many items concurrently and yields each result when it is ready. It starts no further item while its reader
// is busy, so that results do not pile up.

export interface ParallelOptions<Item, Result> {
  /** Concurrent items; at least 1. */
  readonly places: number;
  /** Must not throw: a failure is a result. */
  readonly work: (item: Item) => Promise<Result>;
  /** Resolves when the next item may start. */
  readonly pace?: () => Promise<void>;
}

type Event<Item, Result> =
  | { readonly kind: "next"; readonly next: IteratorResult<Item, void> }
  | { readonly kind: "done"; readonly place: Promise<Result>; readonly result: Result };

/**
 * Yields in the order in which the work ends. An error of `items` or `pace` is thrown after all started work has ended.
 */
export async function* inParallel<Item, Result>(
  items: AsyncGenerator<Item, void, undefined>,
  { places, work, pace }: ParallelOptions<Item, Result>,
): AsyncGenerator<Result, void, undefined> {
  const running = new Set<Promise<Result>>();
  let upcoming: Promise<Event<Item, Result>> | undefined;
  let isEnd = false;

  async function takeNext(): Promise<Event<Item, Result>> {
    const next = await items.next();
    if (next.done !== true) await pace?.();
    return { kind: "next", next };
  }
  const endOf = async (place: Promise<Result>): Promise<Event<Item, Result>> => ({
    kind: "done",
    place,
    result: await place,
  });

  try {
    for (;;) {
      const events = [...running].map(endOf);
      if (!isEnd && running.size < places) {
        upcoming ??= takeNext();
        events.push(upcoming);
      }
      if (events.length === 0) return;
      const event = await Promise.race(events);
      if (event.kind === "done") {
        running.delete(event.place);
        yield event.result;
        continue;
      }
      upcoming = undefined;
      if (event.next.done === true) isEnd = true;
      else running.add(work(event.next.value));
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

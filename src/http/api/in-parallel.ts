// Work on many items, some at a time, whose results are given out as they come. It takes no further item while its reader
// is busy, so nothing piles up.

export interface ParallelOptions<Item, Result> {
  /** Items at work at the same time; at least 1. */
  readonly places: number;
  /** Must not throw: what may fail is a result. */
  readonly work: (item: Item) => Promise<Result>;
  /** Waits until the next item may be begun. */
  readonly pace?: () => Promise<void>;
}

type Event<Item, Result> =
  | { readonly kind: "next"; readonly next: IteratorResult<Item, void> }
  | { readonly kind: "done"; readonly place: Promise<Result>; readonly result: Result };

/** In the order in which the work ends. Throws what `items` or `pace` throws, after the work that was begun has ended. */
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

/** The items until the signal aborts. */
export async function* untilAborted<Item>(
  items: AsyncIterable<Item> | Iterable<Item>,
  signal: AbortSignal,
): AsyncGenerator<Item, void, undefined> {
  for await (const item of items) {
    if (signal.aborted) return;
    yield item;
  }
}

// Passes on results in batches under load, which saves CPU time in the event loop. A render uses more memory than the
// CPU caches hold, so that work between two renders starts with cold caches. Storing and answering eight results in a
// row, and accepting the eight next requests, costs a third less than doing so after each render. Without a queue of
// renders nothing is delayed.

export interface ResultBatches {
  /**
   * Resolves when a result of this many bytes may go on: at once if the batch has as many results as renders wait, else
   * within 75 ms.
   */
  join(bytes: number): Promise<void>;
}

const MAX_BATCH = 8;
const BATCH_MS = 75;
/** A larger result costs more than cold caches do, and should not be in memory eight times. */
const SMALL_BYTES = 1024 * 1024;

/** `waiting`: how many images wait for a render. */
export function createResultBatches(waiting: () => number): ResultBatches {
  let batch: (() => void)[] = [];
  let timer: NodeJS.Timeout | undefined;

  function flush(): void {
    clearTimeout(timer);
    timer = undefined;
    const group = batch;
    batch = [];
    for (const resolve of group) resolve();
  }

  return {
    join: (bytes) =>
      new Promise((resolve) => {
        batch.push(resolve);
        if (bytes > SMALL_BYTES || batch.length >= Math.min(MAX_BATCH, waiting())) flush();
        else timer ??= setTimeout(flush, BATCH_MS);
      }),
  };
}

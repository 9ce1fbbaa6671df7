// Collects the results of copies and writes them to the journal together, so that one commit serves many. A result
// counts only once it is on the disk.
import type { JobResult, Journal } from "../journal/journal.ts";

export interface Results {
  add(result: JobResult): void;
  /** Writes what is collected. Throws the errors of the journal. */
  flush(): void;
}

/** So many are written at once. */
const MAX_COLLECTED = 1_000;

/** `fail`: called with an error of the journal. */
export function createResults(
  journal: Pick<Journal, "settle">,
  { commitMs, fail }: { readonly commitMs: number; readonly fail: (error: unknown) => void },
): Results {
  let collected: JobResult[] = [];
  let timer: NodeJS.Timeout | undefined;

  function flush(): void {
    clearTimeout(timer);
    timer = undefined;
    const batch = collected;
    collected = [];
    if (batch.length > 0) journal.settle(batch);
  }

  function tryFlush(): void {
    try {
      flush();
    } catch (error) {
      fail(error);
    }
  }

  return {
    add(result) {
      collected.push(result);
      if (collected.length >= MAX_COLLECTED) tryFlush();
      else timer ??= setTimeout(tryFlush, commitMs);
    },
    flush,
  };
}

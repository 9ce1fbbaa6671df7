// Decides which part of a large blob is read next. The thread pool is first in, first out, so a small image would wait
// behind a thousand parts; in this queue parts wait outside the pool. Readers with the fewest bytes so far go first. A
// client that never reads soon leaves the front, because the kernel's buffers hold only so much.

export interface PartRead {
  /** Size of the blob. Bytes. */
  readonly size: number;
  /** Bytes that this reader has had of it before. */
  readonly hadBytes: number;
}

/** Reads at the same time. The thread pool has one thread more. */
const MAX_READS = 3;
/** Blobs of up to this size go before all others. Bytes. */
const SHORT_BYTES = 1_048_576;
/** Every fourth turn is for the readers with the most bytes, so that long downloads continue under constant load. */
const LONGEST_EVERY = 4;

export function createReadQueue(maxReads = MAX_READS) {
  const waiting: { readonly rank: number; readonly wake: () => void }[] = [];
  let free = maxReads;
  let turns = 0;

  /** If several have the same rank, the longest wait ends first. */
  function next(): (() => void) | undefined {
    turns += 1;
    const sign = turns % LONGEST_EVERY === 0 ? -1 : 1;
    let best = 0;
    for (let index = 1; index < waiting.length; index += 1) {
      if (sign * waiting[index]!.rank < sign * waiting[best]!.rank) best = index;
    }
    return waiting.splice(best, 1)[0]?.wake;
  }

  return {
    /** Undefined if the read may start at once; otherwise resolves when it may. The caller must then call `leave`. */
    enter({ size, hadBytes }: PartRead): Promise<void> | undefined {
      if (free > 0) {
        free -= 1;
        return undefined;
      }
      const rank = size <= SHORT_BYTES ? -1 : hadBytes;
      return new Promise((wake) => void waiting.push({ rank, wake }));
    },
    leave(): void {
      const wake = next();
      if (wake === undefined) free += 1;
      else wake();
    },
  };
}

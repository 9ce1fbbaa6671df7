// Whose turn it is to have a part of a large blob read. The thread pool takes reads in the order in which they are asked for,
// so that whoever wants a small image would stand behind a thousand parts; here they wait beside it. Whoever has had least
// goes first, for a client that never reads has soon had all that the kernels hold for it.

export interface PartRead {
  /** Of the blob. */
  readonly size: number;
  /** What it has had of it before. */
  readonly hadBytes: number;
}

export interface ReadQueue {
  /** Resolves when it is this one's turn. `leave` must follow. */
  enter(part: PartRead): Promise<void> | undefined;
  leave(): void;
}

/** Reads at once: the pool has a thread more. */
const MAX_READS = 3;
/** The first is for blobs that are soon over; the others are for who has had nothing, and for twice as much as the one before. */
const QUEUES = 8;
const CLASS_BYTES = 262_144;
const SHORT_BYTES = 1_048_576;
/** So often it is the turn of those who have had most: a long download goes on although others begin without end. */
const LONGEST_EVERY = 4;

export function createReadQueue(maxReads = MAX_READS): ReadQueue {
  const queues: (() => void)[][] = Array.from({ length: QUEUES }, () => []);
  let free = maxReads;
  let turns = 0;

  const next = () => {
    turns += 1;
    const takesLongest = turns % LONGEST_EVERY === 0;
    const queue = takesLongest ? queues.findLast(isFilled) : queues.find(isFilled);
    return queue?.shift();
  };

  return {
    enter(part) {
      if (free > 0) {
        free -= 1;
        return undefined;
      }
      const queue = queues[classOf(part)];
      return new Promise((resolve) => queue?.push(resolve));
    },
    leave() {
      const wake = next();
      if (wake === undefined) free += 1;
      else wake();
    },
  };
}

function classOf({ size, hadBytes }: PartRead): number {
  if (size <= SHORT_BYTES) return 0;
  return Math.min(QUEUES - 1, 1 + Math.ceil(Math.log2(1 + hadBytes / CLASS_BYTES)));
}

function isFilled(queue: readonly unknown[]): boolean {
  return queue.length > 0;
}

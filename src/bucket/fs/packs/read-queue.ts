// Decides which part of a large blob is read next. The thread pool is first in, first out, so a small image would wait
// behind a thousand parts; in this queue parts wait outside the pool. Readers with the fewest bytes so far go first. A
// client that never reads soon leaves the front, because the kernel's buffers hold only so much.

export interface PartRead {
  /** Size of the blob. Bytes. */
  readonly size: number;
  /** Bytes that this reader has had of it before. */
  readonly hadBytes: number;
}

export interface ReadQueue {
  /** Undefined if the read may start at once; otherwise resolves when it may. The caller must then call `leave`. */
  enter(part: PartRead): Promise<void> | undefined;
  leave(): void;
}

/** Reads at the same time. The thread pool has one thread more. */
const MAX_READS = 3;
/** Queue 0 is for small blobs, queue 1 for readers without bytes so far. Each further queue covers twice the bytes. */
const QUEUES = 8;
const CLASS_BYTES = 262_144;
const SHORT_BYTES = 1_048_576;
/** Every fourth turn is for the readers with the most bytes, so that long downloads continue under constant load. */
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

// Whose turn it is to have a part of a large blob read. The thread pool takes reads in the order in which they are asked for,
// so that whoever wants a small image would stand behind a thousand parts; here they wait beside it. Whoever has had least
// goes first, for a client that never reads has soon had all that the kernels hold for it.

export interface Asker {
  /** Of the blob. */
  readonly size: number;
  /** What it has had of it before. */
  readonly hadBytes: number;
}

export interface ReadQueue {
  /** Resolves when it is this one's turn. `leave` must follow. */
  enter(asker: Asker): Promise<void> | undefined;
  leave(): void;
}

/** Reads at once: the pool has a thread more. */
const PLACES = 3;
/** The first is for blobs that are soon over; the others are for who has had nothing, and for twice as much as the one before. */
const CLASSES = 8;
const CLASS_BYTES = 262_144;
const SHORT_BYTES = 1_048_576;
/** So often it is the turn of those who have had most: a long download goes on although others begin without end. */
const TURNS_FOR_OLD = 4;

export function createReadQueue(places = PLACES): ReadQueue {
  const waiting: (() => void)[][] = Array.from({ length: CLASSES }, () => []);
  let free = places;
  let turns = 0;

  const next = () => {
    turns += 1;
    const isForOld = turns % TURNS_FOR_OLD === 0;
    const line = isForOld ? waiting.findLast(isSome) : waiting.find(isSome);
    return line?.shift();
  };

  return {
    enter(asker) {
      if (free > 0) {
        free -= 1;
        return undefined;
      }
      const line = waiting[classOf(asker)];
      return new Promise((resolve) => line?.push(resolve));
    },
    leave() {
      const wake = next();
      if (wake === undefined) free += 1;
      else wake();
    },
  };
}

function classOf({ size, hadBytes }: Asker): number {
  if (size <= SHORT_BYTES) return 0;
  return Math.min(CLASSES - 1, 1 + Math.ceil(Math.log2(1 + hadBytes / CLASS_BYTES)));
}

function isSome(line: readonly unknown[]): boolean {
  return line.length > 0;
}

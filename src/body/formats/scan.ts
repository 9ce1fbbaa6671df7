// How a format's scanner sees a body: as one run of bytes that it steps through, though they come in chunks cut anywhere.
// A scanner is a generator that yields what it wants next; this file finds that in the chunks. It knows no format.

/** What a scanner has found out so far; the scanner writes it, the gate reads it after each chunk. */
export interface Findings {
  /** Pixels; undefined until found, and where the file says 0. */
  width: number | undefined;
  height: number | undefined;
  /**
   * `incomplete`: bytes are missing, or the structure is wrong. `complete`: all that the file announced has come.
   * `unmarked`: the file does not say where it ends, so that only the message's framing can prove it whole.
   */
  structure: "incomplete" | "complete" | "unmarked";
}

/** Pass over `skip` bytes, then over those before what `find` finds, then hand out the next `take` bytes. */
export interface Step {
  /** Bytes; may be as huge as a hostile file claims, they cost nothing. */
  readonly skip: number;
  /** The index in `chunk`, at or after `from`, where to stop; -1: not in this chunk. It keeps nothing between chunks. */
  readonly find: ((chunk: Buffer, from: number) => number) | undefined;
  /** Bytes, at most a few KiB: they are held when they come in pieces. */
  readonly take: number;
}

/** Each `yield` gives the bytes taken, good until the next one. Returning means: nothing more to learn. */
export type Scan = Generator<Step, void, Buffer>;

/** Starts the scan of one format. */
export type Scanner = (findings: Findings) => Scan;

/** The next `bytes` bytes, after passing over `skip`. */
export function take(bytes: number, skip = 0): Step {
  return { skip, find: undefined, take: bytes };
}

/** Pass over `bytes` bytes and go on as soon as the last of them has come. */
export function skip(bytes: number): Step {
  return { skip: bytes, find: undefined, take: 0 };
}

/** Feeds a scan: call the result with each chunk in order. Holds the bytes of one step at most. */
export function feed(scan: Scan): (chunk: Buffer) => void {
  let step = scan.next().value;
  let toSkip = step?.skip ?? 0;
  let isFound = step?.find === undefined;
  /** The first bytes of a take that the last chunk cut. */
  let held = NOTHING;

  return function push(chunk) {
    let at = 0;
    while (step) {
      const skipped = Math.min(toSkip, chunk.length - at);
      toSkip -= skipped;
      at += skipped;
      if (toSkip > 0) return;
      if (!isFound) {
        at = step.find?.(chunk, at) ?? at;
        if (at === -1) return;
        isFound = true;
      }
      const piece = chunk.subarray(at, at + step.take - held.length);
      at += piece.length;
      if (held.length + piece.length < step.take) {
        held = Buffer.concat([held, piece]);
        return;
      }
      const taken = held.length === 0 ? piece : Buffer.concat([held, piece]);
      held = NOTHING;
      step = scan.next(taken).value;
      toSkip = step?.skip ?? 0;
      isFound = step?.find === undefined;
    }
  };
}

const NOTHING = Buffer.alloc(0);

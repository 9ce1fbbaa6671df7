// How a format's scanner sees a body: as one run of bytes that it steps through, though they come in chunks cut anywhere.
// A scanner is a generator that yields where it needs bytes that have not come. Between two of these it makes nothing for what it
// passes over: millions of segments, blocks or chunks fit into one file. This file knows no format.

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
  /** Pictures of an animation (GIF, WebP) that a decoder shows; 0 in other formats. */
  frames: number;
  /** Pixels that the frames of a GIF reach to, from the canvas's corner; 0 in other formats. */
  framesWidth: number;
  framesHeight: number;
}

/** Of a body of which nothing has come. */
export function nothingFound(): Findings {
  return { width: undefined, height: undefined, structure: "incomplete", frames: 0, framesWidth: 0, framesHeight: 0 };
}

/** Each `yield` asks for the next chunk. Returning means: nothing more to learn. */
export type Scan = Generator<undefined, void, undefined>;

/** Starts a scan of one format, which writes into `found`. */
export type Scanner<Found = Findings> = (found: Found, input: Input) => Scan;

/**
 * Feeds a scan: call the result with each chunk in order, until it says that nothing is left to learn. Keeps no chunk, and holds
 * the bytes of one take at most.
 */
export function feed<Found>(scanner: Scanner<Found>, found: Found): (chunk: Buffer) => boolean {
  const input = new Input();
  const scan = scanner(found, input);
  return function push(chunk) {
    input.enter(chunk);
    const { done } = scan.next();
    input.leave();
    return done !== true;
  };
}

const NOTHING: Buffer = Buffer.alloc(0);

/**
 * A body as it is stepped through. What answers false, `take` and `find`, is asked again, in the same words, after a yield:
 * `while (!input.take(2)) yield;`. A class, whose methods cost nothing to call: there may be one for each byte.
 */
export class Input {
  #chunk = NOTHING;
  /** Of the next byte in the chunk: beyond its end where bytes are passed over, negative where some are held. */
  #next = 0;
  /** The first bytes of a take that earlier chunks cut. */
  #held = NOTHING;
  /** Where what was taken last lies. */
  #bytes = NOTHING;
  #from = 0;
  #to = 0;

  /** The next chunk has come. */
  enter(chunk: Buffer): void {
    this.#chunk = chunk;
  }

  /** The chunk may be changed from now on. */
  leave(): void {
    this.#next -= this.#chunk.length;
    this.#chunk = NOTHING;
    this.#bytes = NOTHING;
  }

  /**
   * Passes over so many bytes; they may be as many as a hostile file claims. `take(0)` tells when the last of them has come. -1:
   * the last byte that was taken, of two or more, is to be taken once more.
   */
  skip(bytes: number): void {
    this.#next += bytes;
  }

  /** Whether the next `bytes` bytes have come, at most 64 KiB. Then they are passed, and can be read until the next take. */
  take(bytes: number): boolean {
    const end = this.#next + bytes;
    if (end > this.#chunk.length) {
      this.#hold();
      return false;
    }
    if (this.#next >= 0) {
      this.#bytes = this.#chunk;
      this.#from = this.#next;
    } else {
      this.#bytes = Buffer.concat([this.#held, this.#chunk.subarray(0, end)]);
      this.#from = 0;
      this.#held = NOTHING;
    }
    this.#to = this.#from + bytes;
    this.#next = end;
    return true;
  }

  #hold(): void {
    if (this.#next >= this.#chunk.length) return;
    this.#held = Buffer.concat([this.#held, this.#chunk.subarray(Math.max(0, this.#next))]);
  }

  /**
   * Goes on to what `search` finds, its index in `chunk`, at or after `from`, or -1 where it is not in this chunk; then takes
   * `bytes` bytes from there on.
   */
  find(search: (chunk: Buffer, from: number) => number, bytes: number): boolean {
    // What has been found, and was cut, is held.
    if (this.#next >= 0 && this.#next < this.#chunk.length) {
      const found = search(this.#chunk, this.#next);
      this.#next = found === -1 ? this.#chunk.length : found;
    }
    return this.take(bytes);
  }

  /** All that was taken last, good until the next yield. */
  taken(): Buffer {
    return this.#bytes.subarray(this.#from, this.#to);
  }

  /** `at`, here and below: an offset in what was taken last. */
  byte(at: number): number {
    return this.#bytes[this.#from + at]!;
  }

  uint16LE(at: number): number {
    return this.byte(at) | (this.byte(at + 1) << 8);
  }

  uint16BE(at: number): number {
    return (this.byte(at) << 8) | this.byte(at + 1);
  }

  uint32BE(at: number): number {
    return ((this.uint16BE(at) << 16) | this.uint16BE(at + 2)) >>> 0;
  }

  uint32LE(at: number): number {
    return ((this.uint16LE(at + 2) << 16) | this.uint16LE(at)) >>> 0;
  }
}

/** A name of four letters as uint32BE() reads it. */
export function fourLetters(name: string): number {
  return Buffer.from(name, "latin1").readUInt32BE(0);
}

// The framework of the format scanners: a scanner sees a body as one run of bytes, although it arrives in arbitrary
// chunks. A scanner is a generator that yields when it needs more bytes. It allocates nothing for bytes that it skips,
// because one file may contain millions of segments, blocks or chunks. This file knows no format.

/** The results of a scan so far. The scanner writes them, the gate reads them after each chunk. */
export interface Findings {
  /** Pixels; undefined until found, and if the file says 0. */
  width: number | undefined;
  height: number | undefined;
  /**
   * `incomplete`: bytes are missing, or the structure is wrong. `complete`: everything that the file announced has
   * arrived. `unmarked`: the file does not mark its end, so only the message's framing can prove it whole.
   */
  structure: "incomplete" | "complete" | "unmarked";
  /** Frames of an animation (GIF, WebP) that a decoder shows; 0 in other formats. */
  frames: number;
  /** Pixels from the canvas's corner to the far edge of the frames of a GIF; 0 in other formats. */
  framesWidth: number;
  framesHeight: number;
  /** Whether the root element of a text is `svg`; undefined until it is found, and for other formats. */
  isSvg: boolean | undefined;
}

/** The findings before any byte. */
export function nothingFound(): Findings {
  return {
    width: undefined,
    height: undefined,
    structure: "incomplete",
    frames: 0,
    framesWidth: 0,
    framesHeight: 0,
    isSvg: undefined,
  };
}

/** Each `yield` waits for the next chunk. Returning means that the scan is finished. */
export type Scan = Generator<undefined, void, undefined>;

/** Starts a scan of one format, which writes into `found`. */
export type Scanner<Found = Findings> = (found: Found, input: Input) => Scan;

/**
 * Runs a scan. Call the result with each chunk in order, until it returns false: the scan is finished. It keeps no
 * chunk, and holds at most the bytes of one take.
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
 * The input of a scanner. If `take` or `find` returns false, yield and repeat the same call: `while (!input.take(2))
 * yield;`. A class, because its methods may be called for each byte and must be cheap.
 */
export class Input {
  #chunk = NOTHING;
  /** The offset of the next byte in the chunk: beyond its end while bytes are skipped, negative while some are held. */
  #next = 0;
  /** The first bytes of a take that spans chunks. */
  #held = NOTHING;
  /** The buffer and offsets of the last take. */
  #bytes = NOTHING;
  #from = 0;
  #to = 0;

  /** Sets the next chunk. */
  enter(chunk: Buffer): void {
    this.#chunk = chunk;
  }

  /** Detaches the chunk; the caller may change it from now on. */
  leave(): void {
    this.#next -= this.#chunk.length;
    this.#chunk = NOTHING;
    this.#bytes = NOTHING;
  }

  /**
   * Skips bytes; the number may be as large as a hostile file claims. `take(0)` tells when the last of them has
   * arrived. -1 takes back the last byte of a take of two or more.
   */
  skip(bytes: number): void {
    this.#next += bytes;
  }

  /**
   * Whether the next `bytes` bytes have arrived, at most 64 KiB. If so, they are consumed and readable until the next
   * take.
   */
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

  /** Takes at most `bytes` bytes of this chunk. False: it has no more. */
  takeSome(bytes: number): boolean {
    const length = Math.min(bytes, this.#chunk.length - this.#next);
    return length > 0 && this.take(length);
  }

  #hold(): void {
    if (this.#next >= this.#chunk.length) return;
    this.#held = Buffer.concat([this.#held, this.#chunk.subarray(Math.max(0, this.#next))]);
  }

  /**
   * Advances to the index in `chunk` that `search` returns, at or after `from`, or -1 if it is not in this chunk. Then
   * takes `bytes` bytes from there.
   */
  find(search: (chunk: Buffer, from: number) => number, bytes: number): boolean {
    // Bytes that were found but truncated are held.
    if (this.#next >= 0 && this.#next < this.#chunk.length) {
      const found = search(this.#chunk, this.#next);
      this.#next = found === -1 ? this.#chunk.length : found;
    }
    return this.take(bytes);
  }

  /** The bytes of the last take, valid until the next yield. */
  taken(): Buffer {
    return this.#bytes.subarray(this.#from, this.#to);
  }

  /** `at`, here and below: an offset in the last take. */
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

// The bytes of a spool in memory: one run without gaps that ends at the newest byte. It is appended to at the end and
// trimmed at the front. The spool decides how much to trim.

/** The most bytes that one read returns. */
const MAX_PIECE_BYTES = 262_144;

/** An origin may send its body byte by byte; one Buffer for each would take a hundred times its size in memory. */
const SMALL_BYTES = 1_024;

interface Part {
  readonly start: number;
  bytes: Buffer;
}

/** A class, because each arriving body has one. */
export class SpoolWindow {
  /** Bytes in memory. */
  bytes = 0;
  #parts: Part[] = [];
  #end = 0;

  /** Takes ownership of the chunk, which is not empty. */
  append(chunk: Buffer): void {
    const last = this.#parts.at(-1);
    const isSmall = last !== undefined && Math.max(last.bytes.byteLength, chunk.byteLength) < SMALL_BYTES;
    if (isSmall) last.bytes = Buffer.concat([last.bytes, chunk]);
    else this.#parts.push({ start: this.#end, bytes: chunk });
    this.#end += chunk.byteLength;
    this.bytes += chunk.byteLength;
  }

  /** Returns bytes from `offset`, at most MAX_PIECE_BYTES, without copying; undefined outside the window. */
  at(offset: number): Buffer | undefined {
    if (!this.#isInside(offset)) return undefined;
    const { start, bytes } = this.#parts[this.#indexAt(offset)]!;
    const from = offset - start;
    return from === 0 && bytes.byteLength <= MAX_PIECE_BYTES ? bytes : bytes.subarray(from, from + MAX_PIECE_BYTES);
  }

  /** Returns all bytes from `offset`, which lies in the window. */
  from(offset: number): Buffer[] {
    if (!this.#isInside(offset)) return [];
    const [first, ...rest] = this.#parts.slice(this.#indexAt(offset));
    return [first!.bytes.subarray(offset - first!.start), ...rest.map(({ bytes }) => bytes)];
  }

  /**
   * Drops whole chunks that end at or before `offset`, oldest first, until at most `keepBytes` are left. Returns the
   * number of bytes dropped.
   */
  trim(keepBytes: number, offset: number): number {
    let count = 0;
    let dropped = 0;
    for (const { start, bytes } of this.#parts) {
      if (this.bytes - dropped <= keepBytes || start + bytes.byteLength > offset) break;
      count += 1;
      dropped += bytes.byteLength;
    }
    if (count > 0) this.#parts.splice(0, count);
    this.bytes -= dropped;
    return dropped;
  }

  /** Merges all bytes into one Buffer and returns it; copies only if there were several chunks. */
  join(): Buffer {
    const parts = this.#parts;
    const bytes = parts.length === 1 ? parts[0]!.bytes : Buffer.concat(parts.map((part) => part.bytes));
    this.#parts = [{ start: this.#end - this.bytes, bytes }];
    return bytes;
  }

  /** Drops all bytes and returns their number. */
  clear(): number {
    const dropped = this.bytes;
    this.#parts = [];
    this.bytes = 0;
    return dropped;
  }

  #isInside(offset: number): boolean {
    return offset >= this.#end - this.bytes && offset < this.#end;
  }

  /** Returns the index of the part that contains `offset`; the caller has checked that it lies in the window. */
  #indexAt(offset: number): number {
    let low = 0;
    let high = this.#parts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#parts[middle]!.start <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

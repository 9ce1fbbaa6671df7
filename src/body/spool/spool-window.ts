// The bytes of a spool in memory: one run without gaps that ends at the newest byte. It is appended to at the end and
// trimmed at the front. The spool decides how much to trim.

/** The most bytes that one read returns. */
const MAX_PIECE_BYTES = 262_144;

// An origin may send its body byte by byte; one Buffer for each would take a hundred times its size in memory.
const SMALL_CHUNK_BYTES = 1_024;
const COALESCED_BYTES = 8_192;

interface Part {
  readonly start: number;
  bytes: Buffer;
  /**
   * The buffer that small chunks are copied into; `bytes` is its beginning. Bytes already given to readers are never
   * overwritten.
   */
  coalesced: Buffer | undefined;
}

export function createSpoolWindow() {
  let parts: Part[] = [];
  let end = 0;

  /** Returns the index of the part that contains `offset`; the caller has checked that it lies in the window. */
  function indexAt(offset: number): number {
    let low = 0;
    let high = parts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (parts[middle]!.start <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  const isInside = (offset: number) => offset >= end - window.bytes && offset < end;

  /** Drops all bytes and returns their number. */
  function clear(): number {
    const dropped = window.bytes;
    parts = [];
    window.bytes = 0;
    return dropped;
  }

  // `bytes` is a field instead of a getter: see open-spool.ts.
  const window = {
    /** Bytes in memory. */
    bytes: 0,
    /** Takes ownership of the chunk, which is not empty. */
    append(chunk: Buffer): void {
      const last = parts.at(-1);
      if (last === undefined || !coalesce(last, chunk)) parts.push({ start: end, bytes: chunk, coalesced: undefined });
      end += chunk.byteLength;
      window.bytes += chunk.byteLength;
    },
    /** Returns bytes from `offset`, at most MAX_PIECE_BYTES, without copying; undefined outside the window. */
    at(offset: number): Buffer | undefined {
      if (!isInside(offset)) return undefined;
      const { start, bytes } = parts[indexAt(offset)]!;
      const from = offset - start;
      return from === 0 && bytes.byteLength <= MAX_PIECE_BYTES ? bytes : bytes.subarray(from, from + MAX_PIECE_BYTES);
    },
    /** Returns all bytes from `offset`, which lies in the window. */
    from(offset: number): Buffer[] {
      if (!isInside(offset)) return [];
      const [first, ...rest] = parts.slice(indexAt(offset));
      return [first!.bytes.subarray(offset - first!.start), ...rest.map(({ bytes }) => bytes)];
    },
    /**
     * Drops whole chunks that end at or before `offset`, oldest first, until at most `keepBytes` are left. Returns the
     * number of bytes dropped.
     */
    trim(keepBytes: number, offset: number): number {
      let count = 0;
      let dropped = 0;
      for (const { start, bytes } of parts) {
        if (window.bytes - dropped <= keepBytes || start + bytes.byteLength > offset) break;
        count += 1;
        dropped += bytes.byteLength;
      }
      if (count > 0) parts.splice(0, count);
      window.bytes -= dropped;
      return dropped;
    },
    /** Merges all bytes into one Buffer and returns it; copies only if there were several chunks. */
    join(): Buffer {
      const bytes = parts.length === 1 ? parts[0]!.bytes : Buffer.concat(parts.map((part) => part.bytes));
      parts = [{ start: end - window.bytes, bytes, coalesced: undefined }];
      return bytes;
    },
    clear,
  };
  return window;
}

/** Appends a small chunk to a preceding small part; false if it must be a part of its own. */
function coalesce(last: Part, chunk: Buffer): boolean {
  const used = last.bytes.byteLength;
  const size = used + chunk.byteLength;
  if (chunk.byteLength >= SMALL_CHUNK_BYTES || size > COALESCED_BYTES) return false;
  if (last.coalesced === undefined) {
    if (used >= SMALL_CHUNK_BYTES) return false;
    last.coalesced = Buffer.allocUnsafeSlow(COALESCED_BYTES);
    last.bytes.copy(last.coalesced);
  }
  chunk.copy(last.coalesced, used);
  last.bytes = last.coalesced.subarray(0, size);
  return true;
}

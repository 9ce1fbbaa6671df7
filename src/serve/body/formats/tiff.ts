// Scans TIFF (6.0 and BigTIFF): follows its directories, and proves that all values, strips and tiles lie inside the
// body. Offsets may lead anywhere, so the last bytes are kept. A file that needs older ones is not proven.
import type { Findings, Input, Scan } from "./scan.ts";

const TAIL_BYTES = 65_536;
/** Entries, strips and tiles of a file at most; a directory counts as 64 more. The bound also ends loops. */
const MAX_STEPS = 131_072;
/** Directories that are known and not yet read. */
const MAX_WAITING = 64;
/** Strips or tiles that are read at once. */
const WINDOW = 512;

/** Bytes of one value, by the number of its type; 0 or undefined: unknown. */
const TYPE_BYTES: readonly (number | undefined)[] = [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8];
const [WIDTH, HEIGHT, SUB_DIRECTORIES] = [256, 257, 330];
/** The offsets and lengths of picture data: strips, tiles, one JPEG. */
const [OFFSETS, LENGTHS] = [[273, 324, 513] as const, [279, 325, 514]];

/** A step that reads some bytes and returns a value. */
type Reading<Value> = Generator<undefined, Value, undefined>;
/** The values of one tag, inside the directory or elsewhere. `size`: bytes of one value. */
type Field = { readonly at: number; readonly count: number; readonly size: number };
type Fields = ReadonlyMap<number | undefined, Field>;

/** Complete once all that the directories point to has arrived. At least one of them must have picture data. */
export function* scanTiff(findings: Findings, input: Input): Scan {
  const tail = new Tail(input);
  const head = yield* tail.read(0, 8);
  tail.isLittle = head[0] === 0x49;
  tail.isBig = tail.number(head, 2, 2) === 43;
  const waiting = [tail.isBig ? tail.number(yield* tail.read(8, 8), 0, 8) : tail.number(head, 4, 4)];
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    const { fields, next } = yield* readDirectory(tail, at, findings);
    yield* readPictures(tail, fields);
    const inner = fields.get(SUB_DIRECTORIES);
    if (inner !== undefined) waiting.push(...(yield* tail.numbers(inner, 0, Math.min(inner.count, MAX_WAITING))));
    if (next > 0) waiting.push(next);
    if (waiting.length >= MAX_WAITING) return;
    waiting.sort((one, other) => other - one); // The next one in the file is read first.
  }
  if (!tail.hasPicture) return;
  yield* tail.arrive(tail.reach);
  findings.structure = "complete";
}

function* readDirectory(tail: Tail, at: number, findings: Findings): Reading<{ fields: Fields; next: number }> {
  const [offsetBytes, countBytes, entryBytes] = tail.isBig ? [8, 8, 20] : [4, 2, 12];
  const entries = tail.number(yield* tail.read(at, countBytes), 0, countBytes);
  yield* tail.spend(entries + 64);
  const from = at + countBytes;
  const bytes = yield* tail.read(from, entries * entryBytes + offsetBytes);
  const fields = new Map<number, Field>();
  for (let entry = 0; entry < entries * entryBytes; entry += entryBytes) {
    const tag = tail.number(bytes, entry, 2);
    const size = TYPE_BYTES[tail.number(bytes, entry + 2, 2)] ?? 0;
    if (size === 0) continue;
    const count = tail.number(bytes, entry + 4, offsetBytes);
    const value = entry + 4 + offsetBytes;
    const isInside = size * count <= offsetBytes;
    const field = { at: isInside ? from + value : tail.number(bytes, value, offsetBytes), count, size };
    fields.set(tag, field);
    tail.reach = Math.max(tail.reach, field.at + size * count);
    if (tag === WIDTH && isInside) findings.width ??= tail.number(bytes, value, size) || undefined;
    if (tag === HEIGHT && isInside) findings.height ??= tail.number(bytes, value, size) || undefined;
  }
  return { fields, next: tail.number(bytes, entries * entryBytes, offsetBytes) };
}

/** Notes where the picture data of a directory ends, if it has some. */
function* readPictures(tail: Tail, fields: Fields): Scan {
  for (const [index, tag] of OFFSETS.entries()) {
    const [offsets, lengths] = [fields.get(tag), fields.get(LENGTHS[index])];
    if (offsets === undefined) continue;
    if (lengths === undefined || lengths.count < offsets.count) return yield* never();
    for (let first = 0; first < offsets.count; first += WINDOW) {
      const length = Math.min(WINDOW, offsets.count - first);
      yield* tail.spend(length);
      const ends = yield* tail.numbers(offsets, first, length);
      for (const [row, bytes] of (yield* tail.numbers(lengths, first, length)).entries())
        tail.reach = Math.max(tail.reach, bytes + (ends[row] ?? 0));
      tail.hasPicture = true;
    }
  }
}

/** The last bytes of the body. What is out of reach never arrives: the scan waits, so the structure is incomplete. */
class Tail {
  /** The end of the farthest part so far. */
  reach = 0;
  hasPicture = false;
  isLittle = false;
  isBig = false;
  readonly #input: Input;
  /** Each byte at its offset modulo TAIL_BYTES. */
  readonly #bytes = Buffer.alloc(TAIL_BYTES);
  #end = 0;
  #steps = 0;

  constructor(input: Input) {
    this.#input = input;
  }

  /** Waits for the bytes before `end`, and keeps them. */
  *arrive(end: number): Scan {
    while (this.#end < end) {
      const at = this.#end % TAIL_BYTES;
      while (!this.#input.takeSome(Math.min(end - this.#end, TAIL_BYTES - at))) yield;
      this.#end += this.#input.taken().copy(this.#bytes, at);
    }
  }

  /** Returns a copy. */
  *read(from: number, length: number): Reading<Buffer> {
    yield* this.arrive(from + length);
    if (from < this.#end - TAIL_BYTES) yield* never();
    const [start, stop] = [from % TAIL_BYTES, (from % TAIL_BYTES) + length];
    return Buffer.concat([this.#bytes.subarray(start, stop), this.#bytes.subarray(0, Math.max(0, stop - TAIL_BYTES))]);
  }

  *numbers({ at, size }: Field, first: number, length: number): Reading<number[]> {
    const bytes = yield* this.read(at + first * size, length * size);
    return Array.from({ length }, (_, row) => this.number(bytes, row * size, size));
  }

  /** Unsigned, of 1, 2, 4 or 8 bytes; inexact beyond 2^53. */
  number(bytes: Buffer, at: number, size: number): number {
    if (size === 8) return Number(this.isLittle ? bytes.readBigUInt64LE(at) : bytes.readBigUInt64BE(at));
    return this.isLittle ? bytes.readUIntLE(at, size) : bytes.readUIntBE(at, size);
  }

  *spend(steps: number): Scan {
    this.#steps += steps;
    if (this.#steps > MAX_STEPS) yield* never();
  }
}

function* never(): Reading<never> {
  for (;;) yield;
}

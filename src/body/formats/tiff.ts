// Scans TIFF (6.0 and BigTIFF): follows its directories, and proves that all values, strips and tiles lie inside the
// body. Offsets may lead anywhere, so the last bytes are kept. A file that needs older ones is not proven.
import type { Findings, Input, Scan } from "./scan.ts";

const TAIL_BYTES = 65_536;
/** Entries, strips and tiles of a file at most. The bound also ends a loop of directories. */
const MAX_STEPS = 131_072;
/** The steps of a directory beside its entries. */
const DIRECTORY_STEPS = 64;
/** Directories that are known and not yet read. */
const MAX_WAITING = 64;
/** Numbers that are read at once. */
const WINDOW = 512;

/** Bytes of one value, by the number of its type; 0 or undefined: unknown. */
const TYPE_BYTES: readonly (number | undefined)[] = [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8];
const [WIDTH, HEIGHT, SUB_DIRECTORIES] = [256, 257, 330];
/** The tags of picture data, with the tags of its lengths: strips, tiles, one JPEG. */
const PICTURE_TAGS = [
  [273, 279],
  [324, 325],
  [513, 514],
] as const;

/** A step that reads some bytes and returns a value. */
type Reading<Value> = Generator<undefined, Value, undefined>;

/** The values of one tag, inside the directory or elsewhere. */
interface Field {
  readonly at: number;
  readonly count: number;
  /** Bytes of one value. */
  readonly size: number;
}

/** Complete once all that the directories point to has arrived. At least one of them must have picture data. */
export function scanTiff(findings: Findings, input: Input): Scan {
  return new TiffScan(findings, input).run();
}

/** A part that is out of reach never arrives, so the scan waits and the structure stays incomplete. */
class TiffScan {
  readonly #findings: Findings;
  readonly #input: Input;
  /** The last bytes, each at its offset modulo TAIL_BYTES. */
  readonly #tail = Buffer.alloc(TAIL_BYTES);
  /** Bytes that have arrived. */
  #end = 0;
  /** The end of the farthest part so far. */
  #reach = 0;
  #steps = 0;
  #isLittle = false;
  #isBig = false;

  constructor(findings: Findings, input: Input) {
    this.#findings = findings;
    this.#input = input;
  }

  *run(): Scan {
    const head = yield* this.#read(0, 8);
    this.#isLittle = head[0] === 0x49;
    this.#isBig = this.#number(head, 2, 2) === 43;
    const waiting = [this.#isBig ? this.#number(yield* this.#read(8, 8), 0, 8) : this.#number(head, 4, 4)];
    let hasPicture = false;
    for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
      const { fields, next } = yield* this.#readDirectory(at);
      for (const tags of PICTURE_TAGS) hasPicture = (yield* this.#readPicture(fields, tags)) || hasPicture;
      yield* this.#eachNumber([fields.get(SUB_DIRECTORIES)], (offset) => waiting.push(offset));
      if (next > 0) waiting.push(next);
      if (waiting.length > MAX_WAITING) yield* never();
      waiting.sort((one, other) => other - one); // The next one in the file is read first.
    }
    if (!hasPicture) return;
    yield* this.#arrive(this.#reach);
    this.#findings.structure = "complete";
  }

  *#readDirectory(at: number): Reading<{
    readonly fields: ReadonlyMap<number, Field>;
    readonly next: number;
  }> {
    const [offsetBytes, countBytes, entryBytes] = this.#isBig ? [8, 8, 20] : [4, 2, 12];
    const entries = this.#number(yield* this.#read(at, countBytes), 0, countBytes);
    yield* this.#spend(entries + DIRECTORY_STEPS);
    const from = at + countBytes;
    const bytes = yield* this.#read(from, entries * entryBytes + offsetBytes);
    const fields = new Map<number, Field>();
    for (let entry = 0; entry < entries * entryBytes; entry += entryBytes) {
      const tag = this.#number(bytes, entry, 2);
      const size = TYPE_BYTES[this.#number(bytes, entry + 2, 2)] ?? 0;
      if (size === 0) continue;
      const count = this.#number(bytes, entry + 4, offsetBytes);
      const value = entry + 4 + offsetBytes;
      const isInside = size * count <= offsetBytes;
      fields.set(tag, {
        at: isInside ? from + value : this.#number(bytes, value, offsetBytes),
        count,
        size,
      });
      if (!isInside) this.#reach = Math.max(this.#reach, this.#number(bytes, value, offsetBytes) + size * count);
      else if (tag === WIDTH) this.#findings.width ??= this.#number(bytes, value, size) || undefined;
      else if (tag === HEIGHT) this.#findings.height ??= this.#number(bytes, value, size) || undefined;
    }
    return {
      fields,
      next: this.#number(bytes, entries * entryBytes, offsetBytes),
    };
  }

  /** Notes where the picture data ends. False: the directory has none. */
  *#readPicture(fields: ReadonlyMap<number, Field>, [dataTag, lengthTag]: readonly [number, number]): Reading<boolean> {
    const [offsets, lengths] = [fields.get(dataTag), fields.get(lengthTag)];
    if (offsets === undefined || offsets.count === 0) return false;
    if (lengths === undefined || lengths.count < offsets.count) yield* never();
    yield* this.#eachNumber([offsets, lengths], (offset, length) => {
      this.#reach = Math.max(this.#reach, offset + length);
    });
    return true;
  }

  /** Reads the values of one field, or of two in step. */
  *#eachNumber(fields: readonly (Field | undefined)[], note: (one: number, other: number) => void): Scan {
    const count = fields[0]?.count ?? 0;
    for (let first = 0; first < count; first += WINDOW) {
      const length = Math.min(WINDOW, count - first);
      yield* this.#spend(length);
      const columns: number[][] = [];
      for (const { at, size } of fields.filter((field) => field !== undefined)) {
        const bytes = yield* this.#read(at + first * size, length * size);
        columns.push(Array.from({ length }, (_, row) => this.#number(bytes, row * size, size)));
      }
      const [ones = [], others = []] = columns;
      for (const [row, one] of ones.entries()) note(one, others[row] ?? 0);
    }
  }

  /** Returns a copy of the bytes. */
  *#read(from: number, length: number): Reading<Buffer> {
    yield* this.#arrive(from + length);
    if (from < this.#end - TAIL_BYTES) yield* never();
    const start = from % TAIL_BYTES;
    const tail = this.#tail;
    return Buffer.concat([
      tail.subarray(start, start + length),
      tail.subarray(0, Math.max(0, start + length - TAIL_BYTES)),
    ]);
  }

  /** Waits for the bytes before `end`, and keeps them. */
  *#arrive(end: number): Scan {
    while (this.#end < end) {
      const at = this.#end % TAIL_BYTES;
      while (!this.#input.takeSome(Math.min(end - this.#end, TAIL_BYTES - at))) yield;
      this.#end += this.#input.taken().copy(this.#tail, at);
    }
  }

  /** Never ends beyond MAX_STEPS. */
  *#spend(steps: number): Scan {
    this.#steps += steps;
    if (this.#steps > MAX_STEPS) yield* never();
  }

  /** Unsigned, of 1, 2, 4 or 8 bytes; inexact beyond 2^53. */
  #number(bytes: Buffer, at: number, size: number): number {
    if (size === 8) return Number(this.#isLittle ? bytes.readBigUInt64LE(at) : bytes.readBigUInt64BE(at));
    return this.#isLittle ? bytes.readUIntLE(at, size) : bytes.readUIntBE(at, size);
  }
}

function* never(): Generator<undefined, never, undefined> {
  for (;;) yield;
}

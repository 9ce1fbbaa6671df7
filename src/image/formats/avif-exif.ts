// Finds the EXIF items of an AVIF (ISO/IEC 14496-12 §8.11): `infe` names an item, `iloc` locates its bytes. Boxes are
// found by searching for their names, so that no decoder finds an item in oddly nested boxes that this file misses. It
// does not read EXIF.
import type { ExifPlace } from "./exif.ts";

/** Length of the header offset before the block. libvips skips these bytes only. */
const OFFSET_BYTES = 4;

/** An item whose bytes are not one contiguous extent has no block. */
export function* avifExif(file: Buffer): Generator<ExifPlace> {
  for (const meta of metaBoxes(file)) {
    const items = boxesNamed(meta, "infe").flatMap((at) => exifItem(meta, at) ?? []);
    const pieces = items.length === 0 ? NONE : piecesIn(meta);
    for (const { id, nameAt } of items) {
      const piece = pieces.get(id);
      const block = piece && file.subarray(piece.from + OFFSET_BYTES, piece.from + piece.bytes);
      yield { nameAt: meta.byteOffset - file.byteOffset + nameAt, block };
    }
  }
}

/** `meta` boxes at the top level, with their heads. */
function* metaBoxes(file: Buffer): Generator<Buffer> {
  for (let at = 0; at + 8 <= file.length; ) {
    const size = file.readUInt32BE(at);
    const whole = size === 1 ? numberAt(file, at + 8, 8) : size === 0 ? file.length - at : size;
    if (!(whole >= 8)) return;
    if (file.toString("latin1", at + 4, at + 8) === "meta") yield file.subarray(at, at + whole);
    at += whole;
  }
}

/** Offsets of the contents of all boxes with this name. */
function boxesNamed(meta: Buffer, name: string): readonly number[] {
  const found: number[] = [];
  for (let at = meta.indexOf(name, 4, "latin1"); at !== -1; at = meta.indexOf(name, at + 4, "latin1")) {
    const isLarge = meta.readUInt32BE(at - 4) === 1;
    found.push(at + (isLarge ? 12 : 4));
  }
  return found;
}

/**
 * Reads an `infe` entry: version, flags, id, protection index, type. libvips compares the type without case, and so
 * does this.
 */
function exifItem(meta: Buffer, at: number): { readonly id: number; readonly nameAt: number } | undefined {
  const idBytes = meta[at] === 2 ? 2 : 4;
  const nameAt = at + 4 + idBytes + 2;
  const isExif = meta.toString("latin1", nameAt, nameAt + 4).toLowerCase() === "exif";
  return isExif ? { id: meta.readUIntBE(at + 4, idBytes), nameAt } : undefined;
}

const NONE: ReadonlyMap<number, undefined> = new Map();

interface Piece {
  /** Offset in the file. */
  readonly from: number;
  readonly bytes: number;
}

/**
 * Extents by item id. Undefined unless `iloc` lists the item once, with one extent counted from the start of the file.
 */
function piecesIn(meta: Buffer): ReadonlyMap<number, Piece | undefined> {
  const found = new Map<number, Piece | undefined>();
  const [start, other] = boxesNamed(meta, "iloc");
  if (start === undefined || other !== undefined) return found;
  const version = numberAt(meta, start, 1);
  const sizes = numberAt(meta, start + 4, 2);
  const [offsetBytes, lengthBytes, baseBytes] = [sizes >> 12, (sizes >> 8) & 15, (sizes >> 4) & 15];
  const indexBytes = version === 0 ? 0 : sizes & 15;
  // Decoders support no other field sizes and skip nothing for them.
  if (![offsetBytes, lengthBytes, baseBytes, indexBytes].every((bytes) => bytes % 4 === 0 && bytes < 12)) return found;
  const [idBytes, methodBytes] = [version === 2 ? 4 : 2, version === 0 ? 0 : 2];
  let at = start + 6 + idBytes;
  for (let left = numberAt(meta, start + 6, idBytes); left > 0 && at < meta.length; left -= 1) {
    const id = numberAt(meta, at, idBytes);
    const method = numberAt(meta, at + idBytes, methodBytes);
    const baseAt = at + idBytes + methodBytes + 2;
    const extentsAt = baseAt + baseBytes;
    const extents = numberAt(meta, extentsAt, 2);
    const offsetAt = extentsAt + 2 + indexBytes;
    const from = numberAt(meta, baseAt, baseBytes) + numberAt(meta, offsetAt, offsetBytes);
    const bytes = numberAt(meta, offsetAt + offsetBytes, lengthBytes);
    const isPiece = !found.has(id) && extents === 1 && method === 0 && bytes > 0;
    found.set(id, isPiece ? { from, bytes } : undefined);
    at = extentsAt + 2 + extents * (indexBytes + offsetBytes + lengthBytes);
  }
  return found;
}

/** A big-endian number of up to 8 bytes; NaN if bytes are missing. */
function numberAt(bytes: Buffer, at: number, size: number): number {
  if (at + size > bytes.length) return Number.NaN;
  let value = 0;
  for (let index = at; index < at + size; index += 1) value = value * 256 + bytes[index]!;
  return value;
}

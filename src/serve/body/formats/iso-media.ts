// Scans AVIF and HEIC (ISO/IEC 14496-12 boxes, 23008-12 items): top-level boxes by their sizes, the image size from
// `meta`. It does not check items: only a decoder resolves which box an item uses and whether it lies inside `mdat`.
import { type Findings, fourLetters, type Input, type Scan } from "./scan.ts";

/** The bytes of `meta` that are read. Properties of one image take a few hundred bytes. */
const META_BYTES = 4096;

const IDAT = fourLetters("idat");
const FTYP = fourLetters("ftyp");
const META = fourLetters("meta");
const MDAT = fourLetters("mdat");
const MOOV = fourLetters("moov");

/** The boxes that may follow the image at the top level; other bytes there are trailing garbage. */
const LATER_BOXES: ReadonlySet<number> = new Set([
  FTYP,
  META,
  MDAT,
  MOOV,
  ...["moof", "mfra", "free", "skip", "uuid"].map(fourLetters),
]);

/** As scanBoxes(). A sequence also needs `moov`. */
export function scanAvif(findings: Findings, input: Input): Scan {
  return scanBoxes(findings, input, ({ hasMeta, hasMovie, isSequence }) => hasMeta && (hasMovie || !isSequence));
}

/** As scanBoxes(). `moov` alone describes a sequence. */
export function scanHeic(findings: Findings, input: Input): Scan {
  return scanBoxes(findings, input, ({ hasMeta, hasMovie }) => hasMeta || hasMovie);
}

/**
 * Complete at each box boundary once description and data have arrived (data: `mdat`, or the `idat` of `meta`), because
 * nothing announces the last box. Incomplete inside later boxes.
 */
function* scanBoxes(findings: Findings, input: Input, isDescribed: (parts: Parts) => boolean): Scan {
  const parts: Parts = { isSequence: false, hasMeta: false, hasMovie: false, hasData: false };
  for (;;) {
    const box = yield* readBoxHead(input);
    if (box === undefined || (findings.structure === "complete" && !LATER_BOXES.has(box.type))) return;
    findings.structure = "incomplete";
    const bytesToRead = Math.min(box.payload, BYTES_TO_READ.get(box.type) ?? 0);
    while (!input.take(bytesToRead)) yield;
    noteBox(parts, box.type, input, findings);
    const isPictureThere = parts.hasData && isDescribed(parts);
    if (box.payload === Number.POSITIVE_INFINITY) {
      if (isPictureThere) findings.structure = "unmarked";
      return;
    }
    input.skip(box.payload - bytesToRead);
    while (!input.take(0)) yield;
    if (isPictureThere) findings.structure = "complete";
  }
}

/** The parts of an image seen so far. */
interface Parts {
  isSequence: boolean;
  hasMeta: boolean;
  hasMovie: boolean;
  hasData: boolean;
}

/** The bytes of a box's payload that noteBox() reads. */
const BYTES_TO_READ: ReadonlyMap<number, number> = new Map([
  [META, META_BYTES],
  [FTYP, 4],
]);

function noteBox(parts: Parts, type: number, input: Input, findings: Findings): void {
  if (type === FTYP) parts.isSequence = input.taken().toString("latin1") === "avis";
  if (type === MOOV) parts.hasMovie = true;
  if (type === MDAT) parts.hasData = true;
  if (type === META) {
    parts.hasMeta = true;
    if (readMeta(findings, input.taken())) parts.hasData = true;
  }
}

interface BoxHead {
  readonly type: number;
  /** Bytes after the head; infinite if the box extends to the end of the file. */
  readonly payload: number;
}

/** Undefined if no box can begin here: the type is not printable ASCII, or the size is smaller than the head. */
function* readBoxHead(input: Input): Generator<undefined, BoxHead | undefined, undefined> {
  while (!input.take(8)) yield;
  const size = input.uint32BE(0);
  const type = input.uint32BE(4);
  for (let at = 4; at < 8; at += 1) if (input.byte(at) < 0x20 || input.byte(at) > 0x7e) return undefined;
  if (size === 0) return { type, payload: Number.POSITIVE_INFINITY };
  if (size !== 1) return size < 8 ? undefined : { type, payload: size - 8 };
  while (!input.take(8)) yield;
  const largeSize = input.uint32BE(0) * 2 ** 32 + input.uint32BE(4);
  return largeSize < 16 ? undefined : { type, payload: largeSize - 16 };
}

/** An `ispe` property (image spatial extents) up to its name; version, width and height follow. */
const ISPE = Buffer.from("\0\0\0\x14ispe", "latin1");

/**
 * Reads `meta` (the first bytes of its payload): the size of the largest image, which is found by the name of its box.
 * Returns whether `meta` has a box of data itself. A text may have the name of that box, so the boxes are followed.
 */
function readMeta(findings: Findings, meta: Buffer): boolean {
  let largest = 0;
  for (let at = meta.indexOf(ISPE); at !== -1 && at + 20 <= meta.length; at = meta.indexOf(ISPE, at + 20)) {
    const [width, height] = [meta.readUInt32BE(at + 12), meta.readUInt32BE(at + 16)];
    if (width * height <= largest) continue;
    largest = width * height;
    findings.width = width;
    findings.height = height;
  }
  for (let at = 4, size = 8; size >= 8 && at + 8 <= meta.length; at += size) {
    if (meta.readUInt32BE(at + 4) === IDAT) return true;
    size = meta.readUInt32BE(at);
  }
  return false;
}

// AVIF and HEIC (ISO/IEC 14496-12 boxes, 23008-12 items): top-level boxes by their sizes, the size of the picture from `meta`.
// Which item a box belongs to, and whether the items lie inside `mdat`, is a decoder's affair.
import { type Findings, type Scan, type Step, skip, take } from "./scan.ts";

/** How much of `meta` is looked at. Properties of one picture fill a few hundred bytes. */
const META_BYTES = 4096;

/** What may stand at the top level after the picture; other bytes there are trailing garbage. */
const LATER_BOXES: ReadonlySet<string> = new Set([
  "ftyp",
  "meta",
  "mdat",
  "moov",
  "moof",
  "mfra",
  "free",
  "skip",
  "uuid",
]);

/**
 * Complete at each box boundary once the description and its data have come (`meta` with `mdat` or an `idat` of its
 * own; an image sequence also needs `moov`), since nothing says whether more boxes follow; incomplete inside those.
 */
export function* scanAvif(findings: Findings): Scan {
  const parts: Parts = { isSequence: false, hasMeta: false, hasMovie: false, hasData: false };
  for (;;) {
    const box = yield* readBoxHead();
    if (box === undefined || (findings.structure === "complete" && !LATER_BOXES.has(box.type))) return;
    findings.structure = "incomplete";
    const start = yield take(Math.min(box.payload, bytesToRead(box.type)));
    noteBox(parts, box.type, start, findings);
    const isPictureThere = parts.hasData && parts.hasMeta && (parts.hasMovie || !parts.isSequence);
    if (box.payload === Number.POSITIVE_INFINITY) {
      if (isPictureThere) findings.structure = "unmarked";
      return;
    }
    yield skip(box.payload - start.length);
    if (isPictureThere) findings.structure = "complete";
  }
}

/** What of a picture has come so far. */
interface Parts {
  isSequence: boolean;
  hasMeta: boolean;
  hasMovie: boolean;
  hasData: boolean;
}

/** How much of a box's payload noteBox() looks at. */
function bytesToRead(type: string): number {
  if (type === "meta") return META_BYTES;
  return type === "ftyp" ? 4 : 0;
}

function noteBox(parts: Parts, type: string, start: Buffer, findings: Findings): void {
  if (type === "ftyp") parts.isSequence = start.toString("latin1") === "avis";
  if (type === "moov") parts.hasMovie = true;
  if (type === "mdat") parts.hasData = true;
  if (type === "meta") {
    parts.hasMeta = true;
    if (readMeta(findings, start).hasData) parts.hasData = true;
  }
}

/** Looks for the size alone: HEIC is stored as it is. */
export function* scanHeic(findings: Findings): Scan {
  for (;;) {
    const box = yield* readBoxHead();
    if (box === undefined) return;
    if (box.type !== "meta") {
      yield skip(box.payload);
      continue;
    }
    readMeta(findings, yield take(Math.min(box.payload, META_BYTES)));
    return;
  }
}

interface BoxHead {
  readonly type: string;
  /** Bytes after the head; infinite where the box goes on to the end of the file. */
  readonly payload: number;
}

/** Undefined where no box can begin: a type that is not printable ASCII, or a size smaller than the head itself. */
function* readBoxHead(): Generator<Step, BoxHead | undefined, Buffer> {
  const head = yield take(8);
  const size = head.readUInt32BE(0);
  const type = head.toString("latin1", 4, 8);
  if (!/^[\x20-\x7e]{4}$/.test(type)) return undefined;
  if (size === 0) return { type, payload: Number.POSITIVE_INFINITY };
  if (size !== 1) return size < 8 ? undefined : { type, payload: size - 8 };
  const largeSize = Number((yield take(8)).readBigUInt64BE(0));
  return largeSize < 16 ? undefined : { type, payload: largeSize - 16 };
}

/** `meta` (the first bytes of its payload): the size of the largest picture, and whether it carries data itself. */
function readMeta(findings: Findings, meta: Buffer): { readonly hasData: boolean } {
  let hasData = false;
  let largest = 0;
  for (const box of boxesIn(meta.subarray(4))) {
    if (box.type === "idat") hasData = true;
    if (box.type !== "iprp") continue;
    for (const { content } of propertiesIn(box.content)) {
      if (content.length < 12) continue;
      const width = content.readUInt32BE(4);
      const height = content.readUInt32BE(8);
      if (width * height <= largest) continue;
      largest = width * height;
      findings.width = width;
      findings.height = height;
    }
  }
  return { hasData };
}

/** The `ispe` properties (image spatial extents: version, width, height). */
function* propertiesIn(iprp: Buffer): Generator<Box> {
  for (const container of boxesIn(iprp)) {
    if (container.type !== "ipco") continue;
    for (const property of boxesIn(container.content)) if (property.type === "ispe") yield property;
  }
}

interface Box {
  readonly type: string;
  readonly content: Buffer;
}

/** Boxes that begin inside `bytes`; the last may be cut. */
function* boxesIn(bytes: Buffer): Generator<Box> {
  let at = 0;
  while (bytes.length - at >= 8) {
    const size = bytes.readUInt32BE(at);
    if (size < 8) return;
    yield { type: bytes.toString("latin1", at + 4, at + 8), content: bytes.subarray(at + 8, at + size) };
    at += size;
  }
}

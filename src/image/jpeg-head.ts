// What the segments before a JPEG's first scan tell: its EXIF block, and the quality that it was written with. Encoders scale
// the luminance table of ITU-T T.81 annex K.1 by the quality; tables of other makes give the nearest value.

const STANDARD_LUMINANCE = [
  16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61,
  60, 57, 51, 56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87, 95, 98, 103, 104, 103, 62, 77, 113, 121,
  112, 100, 120, 92, 101, 103, 99,
]; // in the file's zigzag order
const DQT = 0xdb;
const [SOI, EOI, SOS] = [0xd8, 0xd9, 0xda];
/** Markers that no length follows: restarts stand right before SOI. */
const [STUFFED, TEM, RST0] = [0x00, 0x01, 0xd0];
const FILL = 0xff;
/** Frames of every kind; of the numbers between three mean something else. */
const [SOF_FIRST, SOF_LAST, DHT, JPG, DAC] = [0xc0, 0xcf, 0xc4, 0xc8, 0xcc];
const APP1 = 0xe1;
const EXIF_MAGIC = "Exif\0\0";

/** What the head of a JPEG tells beside its claims. */
export interface JpegHead {
  /** The first EXIF block, with its magic. */
  readonly exif: Buffer | undefined;
  /** Its pixels have one sample. */
  readonly isGrey: boolean;
  /** 1–100; undefined where there is no luminance table before the first scan. */
  readonly quality: number | undefined;
  /** Bytes a pixel that a decoder holds until it has read all scans, where there are several; 0 where one has all of it. */
  readonly coefficientBytes: number;
}

/** In one pass, without anything that is made for each segment: it is read for every image. */
export function readJpegHead(bytes: Buffer): JpegHead {
  let exif: Buffer | undefined;
  let quality: number | undefined;
  let frameAt: number | undefined;
  let at = nextMarker(bytes, 2);
  for (; isSegment(bytes, at); at = nextMarker(bytes, segmentEnd(bytes, at))) {
    const marker = bytes[at + 1]!;
    const [begin, end] = [at + SEGMENT_HEAD_BYTES, Math.min(bytes.length, segmentEnd(bytes, at))];
    if (marker === APP1) exif ??= exifIn(bytes, begin, end);
    else if (marker === DQT) quality ??= qualityIn(bytes, begin, end);
    else if (isFrame(marker)) frameAt ??= at;
  }
  return { exif, quality, ...readFrame(bytes, frameAt, at) };
}

/** All EXIF blocks before the first scan, with their magic. */
export function* exifSegments(bytes: Buffer): Generator<Buffer> {
  for (let at = nextMarker(bytes, 2); isSegment(bytes, at); at = nextMarker(bytes, segmentEnd(bytes, at))) {
    if (bytes[at + 1] !== APP1) continue;
    const block = exifIn(bytes, at + SEGMENT_HEAD_BYTES, Math.min(bytes.length, segmentEnd(bytes, at)));
    if (block !== undefined) yield block;
  }
}

/** A marker and a length, which counts itself. */
const SEGMENT_HEAD_BYTES = 4;

/** From `from` on, the first marker that is not a bare one; the end of the bytes where there is none. */
function nextMarker(bytes: Buffer, from: number): number {
  for (let at = from; ; at += 2) {
    // Between segments bytes that are no marker are passed over, and any number of 0xff may stand before one (T.81 B.1.1.2).
    at = bytes.indexOf(FILL, at);
    if (at === -1) return bytes.length;
    while (bytes[at + 1] === FILL) at += 1;
    if (!isBare(bytes[at + 1] ?? EOI)) return at;
  }
}

/** Whether the marker there is that of a segment of the head: no scan, and not the end. */
function isSegment(bytes: Buffer, at: number): boolean {
  return at + SEGMENT_HEAD_BYTES <= bytes.length && bytes[at + 1] !== SOS && bytes[at + 1] !== EOI;
}

function segmentEnd(bytes: Buffer, at: number): number {
  return at + 2 + Math.max(2, bytes.readUInt16BE(at + 2));
}

/** From the marker of a frame: how many components it has, and the first of them; from that of a scan: how many it has of these. */
const [COMPONENTS_AT, FIRST_COMPONENT_AT, COMPONENT_BYTES, SCANNED_AT] = [9, 10, 3, 4];
/** 16 bits each. */
const COEFFICIENT_BYTES = 2;

function readFrame(
  bytes: Buffer,
  frameAt: number | undefined,
  scanAt: number,
): Pick<JpegHead, "isGrey" | "coefficientBytes"> {
  if (frameAt === undefined || bytes[scanAt + 1] !== SOS) return { isGrey: false, coefficientBytes: 0 };
  const isGrey = bytes[frameAt + COMPONENTS_AT] === 1;
  return { isGrey, coefficientBytes: coefficientBytesOf(bytes, frameAt, scanAt) };
}

function coefficientBytesOf(bytes: Buffer, frameAt: number, scanAt: number): number {
  const components = bytes[frameAt + COMPONENTS_AT] ?? 0;
  // Of progressive frames, with whatever coding, the number ends in 2, 6, 10 or 14 (T.81 B.1.1.3).
  const isProgressive = (bytes[frameAt + 1]! & 3) === 2;
  if (!isProgressive && (bytes[scanAt + SCANNED_AT] ?? 0) >= components) return 0;
  let [samples, across, down] = [0, 1, 1];
  for (let index = 0; index < components; index += 1) {
    const factors = bytes[frameAt + FIRST_COMPONENT_AT + index * COMPONENT_BYTES + 1] ?? 0x11;
    samples += (factors >> 4) * (factors & 15);
    [across, down] = [Math.max(across, factors >> 4), Math.max(down, factors & 15)];
  }
  return (COEFFICIENT_BYTES * samples) / (across * down);
}

/** Followed by no length. */
function isBare(marker: number): boolean {
  return marker === STUFFED || marker === TEM || (marker >= RST0 && marker <= SOI);
}

function isFrame(marker: number): boolean {
  return marker >= SOF_FIRST && marker <= SOF_LAST && marker !== DHT && marker !== JPG && marker !== DAC;
}

function exifIn(bytes: Buffer, begin: number, end: number): Buffer | undefined {
  const isExif =
    end - begin >= EXIF_MAGIC.length && bytes.toString("latin1", begin, begin + EXIF_MAGIC.length) === EXIF_MAGIC;
  return isExif ? bytes.subarray(begin, end) : undefined;
}

/** Of a table segment, of which only the first table is looked at: that of luminance stands first. */
function qualityIn(bytes: Buffer, begin: number, end: number): number | undefined {
  // Half a byte each: whether its values have 16 bits, and its number; that of luminance is 0.
  const kind = bytes[begin];
  if (kind !== 0x00 && kind !== 0x10) return undefined;
  const [size, largest] = kind === 0x00 ? [1, 255] : [2, 32_767];
  if (end - begin < 1 + STANDARD_LUMINANCE.length * size) return undefined;
  let [total, found, highest] = [0, 0, 0];
  for (let index = 0; index < STANDARD_LUMINANCE.length; index += 1) {
    const value = bytes.readUIntBE(begin + 1 + index * size, size);
    highest = Math.max(highest, value);
    // What has reached the largest value says nothing any more.
    if (value >= largest) continue;
    total += STANDARD_LUMINANCE[index] ?? 0;
    found += value;
  }
  if (total === 0) return 1;
  // Encoders round all that comes to less than 1 up to it, so that ones throughout are the best there is.
  if (highest === 1) return 100;
  const perCent = (found * 100) / total;
  const quality = perCent <= 100 ? (200 - perCent) / 2 : 5000 / perCent;
  return Math.min(100, Math.max(1, Math.round(quality)));
}

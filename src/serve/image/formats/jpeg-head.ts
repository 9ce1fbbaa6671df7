// Reads the segments before a JPEG's first scan: quality, number of samples, kind of scans, but no EXIF. Encoders scale
// the luminance table of ITU-T T.81 annex K.1 by the quality; for other tables the nearest quality is returned. It
// decodes nothing.
import { EOI, findMarker, isBare, isFrame, SOS } from "../../body/formats/jpeg.ts";

const STANDARD_LUMINANCE = [
  16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61,
  60, 57, 51, 56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87, 95, 98, 103, 104, 103, 62, 77, 113, 121,
  112, 100, 120, 92, 101, 103, 99,
]; // in the file's zigzag order
const DQT = 0xdb;

/** Facts from the head of a JPEG in addition to its size. */
export interface JpegHead {
  /** True if its pixels have one sample. */
  readonly isGrey: boolean;
  /** 1–100; undefined if there is no luminance table before the first scan. */
  readonly quality: number | undefined;
  /** Bytes a pixel that a decoder holds until it has read all scans; 0 if there is only one scan. */
  readonly coefficientBytes: number;
}

/** Bytes of a marker and a length; the length includes itself. */
const SEGMENT_HEAD_BYTES = 4;
/** A camera's file has less than a hundred segments, and no other bytes between them. */
const MAX_SEGMENTS = 10_000;
const MAX_GAP_BYTES = 65_536;

/** Undefined if no scan is found within these bounds: the server reads the head in one turn of its event loop. */
export function readJpegHead(jpeg: Buffer): JpegHead | undefined {
  let quality: number | undefined;
  let frame: Frame | undefined;
  let segments = 0;
  for (const at of jpegSegments(jpeg, MAX_GAP_BYTES)) {
    const marker = jpeg[at + 1]!;
    if (marker === DQT) quality ??= qualityIn(segmentAt(jpeg, at));
    else if (marker === SOS) return { quality, ...readFrame(frame, segmentAt(jpeg, at)[0]) };
    else if (isFrame(marker)) frame ??= { marker, bytes: segmentAt(jpeg, at) };
    segments += 1;
    if (segments === MAX_SEGMENTS) break;
  }
  return undefined;
}

/**
 * Offsets of the segments up to the first scan, which is the last of them. Decoders skip other bytes between segments;
 * after `maxGapBytes` of them in all the search ends.
 */
export function* jpegSegments(jpeg: Buffer, maxGapBytes = jpeg.length): Generator<number> {
  let gapBytes = 0;
  for (let end = 2; ; ) {
    const at = findMarker(jpeg.subarray(0, end + SEGMENT_HEAD_BYTES + maxGapBytes - gapBytes), end);
    const marker = jpeg[at + 1];
    if (at === -1 || at + SEGMENT_HEAD_BYTES > jpeg.length || marker === undefined || marker === EOI) return;
    const isSegment = !isBare(marker);
    if (isSegment) yield at;
    if (marker === SOS) return;
    const next = isSegment ? segmentEnd(jpeg, at) : at + 2;
    gapBytes += isSegment ? at - end : next - end;
    if (gapBytes > maxGapBytes) return;
    end = next;
  }
}

/** The segment at this offset without its marker and length; shorter if the file is cut. */
export function segmentAt(jpeg: Buffer, at: number): Buffer {
  return jpeg.subarray(at + SEGMENT_HEAD_BYTES, segmentEnd(jpeg, at));
}

function segmentEnd(jpeg: Buffer, at: number): number {
  return at + 2 + Math.max(2, jpeg.readUInt16BE(at + 2));
}

interface Frame {
  readonly marker: number;
  readonly bytes: Buffer;
}

/** Offsets in a frame segment: number of components, and first component; bytes of a component. */
const [COMPONENTS_AT, FIRST_COMPONENT_AT, COMPONENT_BYTES] = [5, 6, 3];
/** Bytes of a coefficient. */
const COEFFICIENT_BYTES = 2;
/** Bytes a pixel if nothing is known: four components, each in full size. */
export const MOST_COEFFICIENT_BYTES = 4 * COEFFICIENT_BYTES;

/** `scanned`: number of components in the first scan. */
function readFrame(frame: Frame | undefined, scanned: number | undefined): Omit<JpegHead, "quality"> {
  if (frame === undefined || scanned === undefined) return { isGrey: false, coefficientBytes: 0 };
  const { marker, bytes } = frame;
  const components = bytes[COMPONENTS_AT] ?? 0;
  const isGrey = components === 1;
  // For any coding, markers of progressive frames are SOF2, 6, 10 and 14 (T.81 B.1.1.3).
  const isProgressive = (marker & 3) === 2;
  if (!isProgressive && scanned >= components) return { isGrey, coefficientBytes: 0 };
  let [samples, across, down] = [0, 1, 1];
  for (let index = 0; index < components; index += 1) {
    const factors = bytes[FIRST_COMPONENT_AT + index * COMPONENT_BYTES + 1] ?? 0x11;
    samples += (factors >> 4) * (factors & 15);
    [across, down] = [Math.max(across, factors >> 4), Math.max(down, factors & 15)];
  }
  return { isGrey, coefficientBytes: (COEFFICIENT_BYTES * samples) / (across * down) };
}

/** Quality from a table segment. Only the first table counts, because luminance comes first. */
function qualityIn(bytes: Buffer): number | undefined {
  // The high half is 1 for values of 16 bits; the low half is the table's number, 0 for luminance.
  const kind = bytes[0];
  if (kind !== 0x00 && kind !== 0x10) return undefined;
  const [size, largest] = kind === 0x00 ? [1, 255] : [2, 32_767];
  if (bytes.length < 1 + STANDARD_LUMINANCE.length * size) return undefined;
  let [total, found, highest] = [0, 0, 0];
  for (let index = 0; index < STANDARD_LUMINANCE.length; index += 1) {
    const value = bytes.readUIntBE(1 + index * size, size);
    highest = Math.max(highest, value);
    // A value at the maximum was clipped and tells nothing.
    if (value >= largest) continue;
    total += STANDARD_LUMINANCE[index] ?? 0;
    found += value;
  }
  if (total === 0) return 1;
  // Encoders raise values below 1 to 1, so a table of ones is the best quality.
  if (highest === 1) return 100;
  const perCent = (found * 100) / total;
  const quality = perCent <= 100 ? (200 - perCent) / 2 : 5000 / perCent;
  return Math.min(100, Math.max(1, Math.round(quality)));
}

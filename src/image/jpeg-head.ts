// What the segments before a JPEG's first scan tell: its EXIF block, and the quality that it was written with. Encoders scale
// the luminance table of ITU-T T.81 annex K.1 by the quality; tables of other makes give the nearest value.

const STANDARD_LUMINANCE = [
  16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61,
  60, 57, 51, 56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87, 95, 98, 103, 104, 103, 62, 77, 113, 121,
  112, 100, 120, 92, 101, 103, 99,
]; // in the file's zigzag order
const DQT = 0xdb;
const SOS = 0xda;
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
}

/** In one pass, without anything that is made for each segment: it is read for every image. */
export function readJpegHead(bytes: Buffer): JpegHead {
  let exif: Buffer | undefined;
  let isGrey: boolean | undefined;
  let quality: number | undefined;
  for (let at = 2; at + 4 <= bytes.length && bytes[at] === 0xff; ) {
    const marker = bytes[at + 1] ?? SOS;
    if (marker === SOS) break;
    // Any number of 0xff may stand before a marker (T.81 B.1.1.2).
    if (marker === 0xff) {
      at += 1;
      continue;
    }
    const [begin, end] = [at + 4, Math.min(bytes.length, at + 2 + bytes.readUInt16BE(at + 2))];
    if (marker === APP1) exif ??= exifIn(bytes, begin, end);
    else if (marker === DQT) quality ??= qualityIn(bytes, begin, end);
    else if (isFrame(marker)) isGrey ??= bytes[begin + 5] === 1;
    at += 2 + bytes.readUInt16BE(at + 2);
  }
  return { exif, isGrey: isGrey === true, quality };
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
  // Precision and number of the table; 0x00 is luminance in 8 bits.
  if (bytes[begin] !== 0x00 || end - begin < 1 + STANDARD_LUMINANCE.length) return undefined;
  let [total, found] = [0, 0];
  for (let index = 0; index < STANDARD_LUMINANCE.length; index += 1) {
    const value = bytes[begin + 1 + index] ?? 255;
    // What has reached the largest value says nothing any more.
    if (value === 255) continue;
    total += STANDARD_LUMINANCE[index] ?? 0;
    found += value;
  }
  if (total === 0) return 1;
  const perCent = (found * 100) / total;
  const quality = perCent <= 100 ? (200 - perCent) / 2 : 5000 / perCent;
  return Math.min(100, Math.max(1, Math.round(quality)));
}

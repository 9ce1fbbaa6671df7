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

/** 1–100; undefined where there is no luminance table before the first scan. */
export function jpegQuality(bytes: Buffer): number | undefined {
  for (const { marker, payload } of segmentsOf(bytes)) {
    // Precision and number of the first table; 0x00 is luminance in 8 bits.
    if (marker === DQT && payload[0] === 0x00 && payload.length >= 65) return qualityOf(payload.subarray(1, 65));
  }
  return undefined;
}

/** The first EXIF block, with its magic. */
export function jpegExif(bytes: Buffer): Buffer | undefined {
  for (const { marker, payload } of segmentsOf(bytes)) {
    if (marker === APP1 && payload.toString("latin1", 0, EXIF_MAGIC.length) === EXIF_MAGIC) return payload;
  }
  return undefined;
}

/** Whether its pixels have one sample. */
export function isGreyJpeg(bytes: Buffer): boolean {
  for (const { marker, payload } of segmentsOf(bytes)) {
    const isFrame = marker >= SOF_FIRST && marker <= SOF_LAST && ![DHT, JPG, DAC].includes(marker);
    if (isFrame) return payload[5] === 1;
  }
  return false;
}

function* segmentsOf(bytes: Buffer): Generator<{ readonly marker: number; readonly payload: Buffer }> {
  for (let at = 2; at + 4 <= bytes.length && bytes[at] === 0xff; ) {
    const marker = bytes[at + 1] ?? SOS;
    if (marker === SOS) return;
    // Any number of 0xff may stand before a marker (T.81 B.1.1.2).
    if (marker === 0xff) {
      at += 1;
      continue;
    }
    const length = bytes.readUInt16BE(at + 2);
    yield { marker, payload: bytes.subarray(at + 4, at + 2 + length) };
    at += 2 + length;
  }
}

function qualityOf(table: Buffer): number | undefined {
  if (table.length < 64) return undefined;
  // What has reached the largest value says nothing any more.
  const told = [...table.keys()].filter((index) => table[index]! < 255);
  if (told.length === 0) return 1;
  const total = told.reduce((sum, index) => sum + STANDARD_LUMINANCE[index]!, 0);
  const found = told.reduce((sum, index) => sum + table[index]!, 0);
  const perCent = (found * 100) / total;
  const quality = perCent <= 100 ? (200 - perCent) / 2 : 5000 / perCent;
  return Math.min(100, Math.max(1, Math.round(quality)));
}

// The quality that a JPEG was written with, estimated from its luminance table: encoders scale the table of ITU-T T.81
// annex K.1 by the quality. An estimate; tables of other makes give the nearest value.

const STANDARD_LUMINANCE = [
  16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61,
  60, 57, 51, 56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87, 95, 98, 103, 104, 103, 62, 77, 113, 121,
  112, 100, 120, 92, 101, 103, 99,
]; // in the file's zigzag order
const DQT = 0xdb;
const SOS = 0xda;

/** 1–100; undefined where there is no luminance table before the first scan. */
export function jpegQuality(bytes: Buffer): number | undefined {
  for (let at = 2; at + 4 <= bytes.length && bytes[at] === 0xff; ) {
    const marker = bytes[at + 1];
    if (marker === SOS) return undefined;
    const length = bytes.readUInt16BE(at + 2);
    // Precision and number of the first table; 0x00 is luminance in 8 bits.
    if (marker === DQT && bytes[at + 4] === 0x00 && length >= 67) return qualityOf(bytes.subarray(at + 5, at + 69));
    at += 2 + length;
  }
  return undefined;
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

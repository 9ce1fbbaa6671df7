// Reads an EXIF block (CIPA DC-008) into `{ "Make": { "val": "Canon", "type": 2 }, … }`. Each directory is visited
// once, entries and texts are bounded, and offsets outside the block are ignored, so that a hostile block costs little.
// It writes no EXIF.

/** Text of a value, and its EXIF type number. */
export interface ExifValue {
  readonly val: string;
  readonly type: number;
}

// biome-ignore format: a table of names is read by eye in several columns
const TAGS: Readonly<Record<number, string>> = {
  256: "ImageWidth", 257: "ImageLength", 270: "ImageDescription", 271: "Make", 272: "Model", 274: "Orientation",
  282: "XResolution", 283: "YResolution", 296: "ResolutionUnit", 305: "Software", 306: "DateTime", 315: "Artist",
  318: "WhitePoint", 319: "PrimaryChromaticities", 529: "YCbCrCoefficients", 531: "YCbCrPositioning",
  532: "ReferenceBlackWhite", 33432: "Copyright", 33434: "ExposureTime", 33437: "FNumber", 34850: "ExposureProgram",
  34852: "SpectralSensitivity", 34855: "ISOSpeedRatings", 34864: "SensitivityType", 36864: "ExifVersion",
  36867: "DateTimeOriginal", 36868: "DateTimeDigitized", 36880: "OffsetTime", 36881: "OffsetTimeOriginal",
  36882: "OffsetTimeDigitized", 37121: "ComponentsConfiguration", 37122: "CompressedBitsPerPixel",
  37377: "ShutterSpeedValue", 37378: "ApertureValue", 37379: "BrightnessValue", 37380: "ExposureBiasValue",
  37381: "MaxApertureValue", 37382: "SubjectDistance", 37383: "MeteringMode", 37384: "LightSource", 37385: "Flash",
  37386: "FocalLength", 37396: "SubjectArea", 37500: "MakerNote", 37510: "UserComment", 37520: "SubSecTime",
  37521: "SubSecTimeOriginal", 37522: "SubSecTimeDigitized", 40960: "FlashPixVersion", 40961: "ColorSpace",
  40962: "PixelXDimension", 40963: "PixelYDimension", 41486: "FocalPlaneXResolution", 41487: "FocalPlaneYResolution",
  41488: "FocalPlaneResolutionUnit", 41495: "SensingMethod", 41728: "FileSource", 41729: "SceneType",
  41985: "CustomRendered", 41986: "ExposureMode", 41987: "WhiteBalance", 41988: "DigitalZoomRatio",
  41989: "FocalLengthIn35mmFilm", 41990: "SceneCaptureType", 41991: "GainControl", 41992: "Contrast",
  41993: "Saturation", 41994: "Sharpness", 42016: "ImageUniqueID", 42033: "BodySerialNumber",
  42034: "LensSpecification", 42035: "LensMake", 42036: "LensModel",
};
// biome-ignore format: as above
const GPS_TAGS: Readonly<Record<number, string>> = {
  0: "GPSVersionID", 1: "GPSLatitudeRef", 2: "GPSLatitude", 3: "GPSLongitudeRef", 4: "GPSLongitude",
  5: "GPSAltitudeRef", 6: "GPSAltitude", 7: "GPSTimeStamp", 12: "GPSSpeedRef", 13: "GPSSpeed", 16: "GPSImgDirectionRef",
  17: "GPSImgDirection", 18: "GPSMapDatum", 29: "GPSDateStamp",
};
const EXIF_DIRECTORY = 34665;
const GPS_DIRECTORY = 34853;

/** Bytes of one component by type: 1 BYTE, 2 ASCII, 3 SHORT, 4 LONG, 5 RATIONAL, 7 UNDEFINED, 9 SLONG, 10 SRATIONAL. */
const TYPE_BYTES: Readonly<Record<number, number>> = { 1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 9: 4, 10: 8 };
const ENTRY_BYTES = 12;
const MAX_ENTRIES = 512;
const MAX_TEXT_BYTES = 1024;
const MAX_COMPONENTS = 32;

/** `block`: with or without the leading `Exif\0\0`. Undefined if it is not EXIF or has no known entry. */
export function readExif(block: Buffer): Readonly<Record<string, ExifValue>> | undefined {
  const reader = openBlock(block);
  if (reader === undefined) return undefined;
  const values: Record<string, ExifValue> = {};
  const first = readDirectory(reader, reader.long(4), TAGS, values);
  if (first.exifAt !== undefined) readDirectory(reader, first.exifAt, TAGS, values);
  if (first.gpsAt !== undefined) readDirectory(reader, first.gpsAt, GPS_TAGS, values);
  return Object.keys(values).length === 0 ? undefined : values;
}

/**
 * Whether the block may say that the image is not upright. Only the decoder knows the orientation, because it may read
 * odd blocks differently.
 */
export function mayBeTurned(block: Buffer): boolean {
  const { val = "1" } = readExif(block)?.Orientation ?? {};
  return val !== "1";
}

/** Tags that decoders follow from any directory: EXIF, GPS and interoperability. */
const FOLLOWED = new Set([EXIF_DIRECTORY, GPS_DIRECTORY, 40_965]);
/** A camera's block has some hundred entries; a block of 64 KiB with a pointer to arbitrary bytes has up to 5461. */
const MAX_VISITED_ENTRIES = 10_000;

/**
 * Whether libexif might read more entries of these blocks than any image needs. It follows a pointer each time it meets
 * it. Directories that point to each other make millions of entries from a few hundred bytes, which takes seconds.
 */
export function areEndless(blocks: Iterable<Buffer>): boolean {
  let left = MAX_VISITED_ENTRIES;
  for (const block of blocks) {
    left -= 1 + visitedEntries(block, left);
    if (left < 0) return true;
  }
  return false;
}

/** Number of entries and directories that libexif visits; counting stops above `most`. */
function visitedEntries(block: Buffer, most: number): number {
  const reader = openBlock(block);
  if (reader === undefined) return 0;
  const first = reader.long(4);
  const second = reader.long(first + 2 + reader.short(first) * ENTRY_BYTES);
  const ahead = second === 0 ? [first] : [first, second];
  let visited = 0;
  for (let start = ahead.pop(); start !== undefined && visited <= most; start = ahead.pop()) {
    const room = Math.floor((reader.bytes.length - start - 2) / ENTRY_BYTES);
    const end = start + 2 + Math.max(0, Math.min(reader.short(start), room)) * ENTRY_BYTES;
    visited += 1;
    for (let at = start + 2; at < end && visited <= most; at += ENTRY_BYTES) {
      visited += 1;
      if (FOLLOWED.has(reader.short(at))) ahead.push(reader.long(at + 8));
    }
  }
  return visited;
}

/** The bytes of the link to the second directory, which has the thumbnail; undefined if there is no such directory. */
export function secondDirectoryLink(block: Buffer): Buffer | undefined {
  const reader = openBlock(block);
  if (reader === undefined) return undefined;
  const first = reader.long(4);
  const at = first + 2 + reader.short(first) * ENTRY_BYTES;
  return reader.long(at) === 0 ? undefined : reader.bytes.subarray(at, at + 4);
}

type Reader = ReturnType<typeof createReader>;

/** `block`: with or without its magic. Undefined if it is not EXIF. */
function openBlock(block: Buffer): Reader | undefined {
  const tiff = block.toString("latin1", 0, 6) === "Exif\0\0" ? block.subarray(6) : block;
  const order = tiff.toString("latin1", 0, 2);
  if (tiff.length < 8 || (order !== "II" && order !== "MM")) return undefined;
  return createReader(tiff, order === "II");
}

/** Reads numbers from a block; a number outside the block is 0. */
function createReader(bytes: Buffer, isLittle: boolean) {
  const isInside = (at: number, length: number) => at >= 0 && at + length <= bytes.length;
  return {
    bytes,
    short: (at: number) => (isInside(at, 2) ? (isLittle ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at)) : 0),
    long: (at: number) => (isInside(at, 4) ? (isLittle ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at)) : 0),
    signed: (at: number) => (isInside(at, 4) ? (isLittle ? bytes.readInt32LE(at) : bytes.readInt32BE(at)) : 0),
  };
}

function readDirectory(
  reader: Reader,
  start: number,
  tags: Readonly<Record<number, string>>,
  values: Record<string, ExifValue>,
): { readonly exifAt: number | undefined; readonly gpsAt: number | undefined } {
  let [exifAt, gpsAt]: (number | undefined)[] = [];
  const count = Math.min(reader.short(start), MAX_ENTRIES);
  for (let index = 0; index < count; index += 1) {
    const at = start + 2 + index * ENTRY_BYTES;
    if (at + ENTRY_BYTES > reader.bytes.length) break;
    const tag = reader.short(at);
    if (tag === EXIF_DIRECTORY) exifAt = reader.long(at + 8);
    if (tag === GPS_DIRECTORY) gpsAt = reader.long(at + 8);
    const name = tags[tag];
    const value = name === undefined ? undefined : readValue(reader, at);
    // If a tag is repeated, decoders use the first value.
    if (name !== undefined && value !== undefined) values[name] ??= value;
  }
  return { exifAt, gpsAt };
}

function readValue(reader: Reader, entry: number): ExifValue | undefined {
  const type = reader.short(entry + 2);
  const count = reader.long(entry + 4);
  const bytes = (TYPE_BYTES[type] ?? Number.POSITIVE_INFINITY) * count;
  const at = bytes <= 4 ? entry + 8 : reader.long(entry + 8);
  if (count === 0 || at + bytes > reader.bytes.length) return undefined;
  if (type === 2) return { val: textAt(reader.bytes, at, bytes), type };
  if (type === 7 && bytes > MAX_COMPONENTS) return { val: `${bytes} bytes undefined data`, type };
  // Versions have the type UNDEFINED, but contain digits: "0230".
  const text = type === 7 ? reader.bytes.toString("latin1", at, at + bytes) : "";
  if (/^[\x20-\x7e]+$/.test(text)) return { val: text, type };
  const size = TYPE_BYTES[type] ?? 1;
  const shown = Math.min(count, MAX_COMPONENTS);
  const parts = Array.from({ length: shown }, (_, index) => component(reader, type, at + index * size));
  return { val: parts.join(", "), type };
}

function textAt(bytes: Buffer, at: number, length: number): string {
  const text = bytes.toString("utf8", at, at + Math.min(length, MAX_TEXT_BYTES));
  const end = text.indexOf("\0");
  return (end === -1 ? text : text.slice(0, end)).trim();
}

function component(reader: Reader, type: number, at: number): string {
  switch (type) {
    case 3:
      return String(reader.short(at));
    case 4:
      return String(reader.long(at));
    case 9:
      return String(reader.signed(at));
    case 5:
      return fraction(reader.long(at), reader.long(at + 4));
    case 10:
      return fraction(reader.signed(at), reader.signed(at + 4));
    default:
      return String(reader.bytes[at] ?? 0);
  }
}

function fraction(numerator: number, denominator: number): string {
  if (denominator === 1) return String(numerator);
  return `${numerator}/${denominator}`;
}

// Detects the image format from the first bytes. It uses neither Content-Type nor the file's name.
import type { ImageFormat } from "../../../core/object.ts";

/** This many bytes always suffice. */
const SNIFF_BYTES = 64;

const JPEG = Buffer.from([0xff, 0xd8, 0xff]);
const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const GIF87 = Buffer.from("GIF87a", "latin1");
const GIF89 = Buffer.from("GIF89a", "latin1");
const RIFF = Buffer.from("RIFF", "latin1");
const WEBP = Buffer.from("WEBP", "latin1");
const BM = Buffer.from("BM", "latin1");
const FTYP = Buffer.from("ftyp", "latin1");
const ICO = Buffer.from([0, 0, 1, 0]);
const UTF8_MARK = Buffer.from([0xef, 0xbb, 0xbf]);
const TIFF_MAGICS = [
  Buffer.from([0x49, 0x49, 42, 0]),
  Buffer.from([0x4d, 0x4d, 0, 42]),
  // BigTIFF: offsets of 8 bytes
  Buffer.from([0x49, 0x49, 43, 0, 8, 0, 0, 0]),
  Buffer.from([0x4d, 0x4d, 0, 43, 0, 8, 0, 0]),
];

/** The lengths of all DIB headers in use. */
const DIB_HEADER_BYTES: ReadonlySet<number> = new Set([12, 16, 40, 52, 56, 64, 108, 124]);

const AVIF_BRANDS: ReadonlySet<string> = new Set(["avif", "avis"]);
const HEIC_BRANDS: ReadonlySet<string> = new Set(["heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs"]);
/** Brands that mean HEIF and leave the codec to the compatible brands. */
const STRUCTURAL_BRANDS: ReadonlySet<string> = new Set(["mif1", "mif2", "msf1", "miaf"]);

/** `more`: the bytes so far may still become an image. `svg`: text that may be one, which scanSvg() decides. */
export type Sniffed = ImageFormat | "more" | "foreign";

/** Takes the beginning of a body, of any length. It never returns `more` for 64 bytes or more. */
export function sniff(head: Buffer): Sniffed {
  switch (head[0]) {
    case undefined:
      return "more";
    case 0xff:
      return match("jpeg", head, JPEG);
    case 0x89:
      return match("png", head, PNG);
    case 0x47:
      return either(match("gif", head, GIF89), match("gif", head, GIF87));
    case 0x52:
      return both(match("webp", head, RIFF), match("webp", head, WEBP, 8));
    case 0x42:
      return both(match("bmp", head, BM), sniffBmp(head));
    case 0x49:
    case 0x4d:
      return TIFF_MAGICS.map((magic) => match("tiff", head, magic)).reduce(either);
    case 0x00:
      return either(sniffIco(head), sniffIsoMedia(head));
    case 0xef:
      return match("svg", head, UTF8_MARK);
    case 0x3c: // <
    case 0x09:
    case 0x0a:
    case 0x0d:
    case 0x20:
      return "svg";
    default:
      return "foreign";
  }
}

function match(format: ImageFormat, head: Buffer, magic: Buffer, at = 0): Sniffed {
  const length = Math.max(0, Math.min(magic.length, head.length - at));
  for (let index = 0; index < length; index += 1) if (head[at + index] !== magic[index]) return "foreign";
  return length === magic.length ? format : "more";
}

function either(one: Sniffed, other: Sniffed): Sniffed {
  if (one === "foreign") return other;
  return one === "more" && other !== "foreign" ? other : one;
}

function both(one: Sniffed, other: Sniffed): Sniffed {
  if (one === "foreign" || other === "foreign") return "foreign";
  return one === "more" ? one : other;
}

/** Two letters are a weak magic, so the DIB header's length must be a known one. */
function sniffBmp(head: Buffer): Sniffed {
  if (head.length < 18) return "more";
  return DIB_HEADER_BYTES.has(head.readUInt32LE(14)) ? "bmp" : "foreign";
}

/** Also a weak magic: the first entry must have bytes, and they must begin after the directory. */
function sniffIco(head: Buffer): Sniffed {
  const magic = match("ico", head, ICO);
  if (magic !== "ico") return magic;
  if (head.length < 22) return "more";
  const count = head.readUInt16LE(4);
  const isPlausible = count > 0 && head.readUInt32LE(14) > 0 && head.readUInt32LE(18) >= 6 + 16 * count;
  return isPlausible ? "ico" : "foreign";
}

function sniffIsoMedia(head: Buffer): Sniffed {
  const magic = match("avif", head, FTYP, 4);
  if (magic !== "avif") return magic;
  if (head.length < 12) return "more";
  const major = brandAt(head, 8);
  if (AVIF_BRANDS.has(major)) return "avif";
  if (HEIC_BRANDS.has(major)) return "heic";
  if (!STRUCTURAL_BRANDS.has(major)) return "foreign";
  const end = Math.min(head.readUInt32BE(0), SNIFF_BYTES);
  if (head.length < end) return "more";
  for (let at = 16; at + 4 <= end; at += 4) if (AVIF_BRANDS.has(brandAt(head, at))) return "avif";
  return "heic";
}

function brandAt(head: Buffer, at: number): string {
  return head.toString("latin1", at, at + 4);
}

// Detects the image format from the first bytes. It uses neither Content-Type nor the file's name.
import type { ImageFormat } from "../../../core/object.ts";

/** This many bytes always suffice. */
const SNIFF_BYTES = 64;

/** Two letters are a weak magic, so a BMP must also have a DIB header of a length in use. */
const DIB_HEADER_BYTES = [12, 16, 40, 52, 56, 64, 108, 124];
const AVIF_BRANDS = ["avif", "avis"];
const HEIC_BRANDS = ["heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs"];
/** Brands that mean HEIF and leave the codec to the compatible brands. */
const STRUCTURAL_BRANDS = ["mif1", "mif2", "msf1", "miaf"];

/** One character a byte; `?` is any byte. */
const MAGICS: readonly (readonly [ImageFormat, string])[] = [
  ["jpeg", "\xff\xd8\xff"],
  ["png", "\x89PNG\r\n\x1a\n"],
  ["gif", "GIF89a"],
  ["gif", "GIF87a"],
  ["webp", "RIFF????WEBP"],
  ...AVIF_BRANDS.map((brand) => ["avif", `\0???ftyp${brand}`] as const),
  ...[...HEIC_BRANDS, ...STRUCTURAL_BRANDS].map((brand) => ["heic", `\0???ftyp${brand}`] as const),
  ...DIB_HEADER_BYTES.map((bytes) => ["bmp", `BM????????????${String.fromCharCode(bytes)}\0\0\0`] as const),
  ["tiff", "II*\0"],
  ["tiff", "MM\0*"],
  // BigTIFF: offsets of 8 bytes
  ["tiff", "II+\0\x08\0\0\0"],
  ["tiff", "MM\0+\0\x08\0\0"],
  // With the first entry of the directory.
  ["ico", `\0\0\x01\0${"?".repeat(18)}`],
  ["svg", "\xef\xbb\xbf"],
  ...[..."<\t\n\r "].map((character) => ["svg", character] as const),
];

/** `more`: the bytes so far may still become an image. `svg`: text that may be one, which scanSvg() decides. */
export type Sniffed = ImageFormat | "more" | "foreign";

/** Takes the beginning of a body, of any length. It never returns `more` for 64 bytes or more. */
export function sniff(head: Buffer): Sniffed {
  const text = head.toString("latin1", 0, SNIFF_BYTES);
  let sniffed: Sniffed = "foreign";
  for (const [format, magic] of MAGICS) {
    if (!fits(text, magic)) continue;
    if (text.length >= magic.length) return confirmed(format, head, text);
    sniffed = "more";
  }
  return sniffed;
}

/** Whether the shorter one of both is the beginning of the other. */
function fits(text: string, magic: string): boolean {
  const length = Math.min(text.length, magic.length);
  for (let at = 0; at < length; at += 1) if (magic[at] !== "?" && magic[at] !== text[at]) return false;
  return true;
}

function confirmed(format: ImageFormat, head: Buffer, text: string): Sniffed {
  if (format === "heic" && STRUCTURAL_BRANDS.includes(text.slice(8, 12))) {
    const end = Math.min(head.readUInt32BE(0), SNIFF_BYTES);
    if (text.length < end) return "more";
    for (let at = 16; at + 4 <= end; at += 4) if (AVIF_BRANDS.includes(text.slice(at, at + 4))) return "avif";
  }
  if (format !== "ico") return format;
  // A weak magic: the first entry must have bytes, and they must begin after the directory.
  const count = head.readUInt16LE(4);
  return count > 0 && head.readUInt32LE(14) > 0 && head.readUInt32LE(18) >= 6 + 16 * count ? "ico" : "foreign";
}

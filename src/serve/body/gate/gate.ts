// Proves that a body is a whole image by framing, magic, structure and declared hashes, while its bytes stream past. No
// decoding and no I/O. mirror/ decides what follows from the verdict.
import type { ErrorCode } from "../../../core/errors.ts";
import type { ImageFacts, ImageFormat } from "../../../core/object.ts";
import { scanBmp } from "../formats/bmp.ts";
import { scanGif } from "../formats/gif.ts";
import { scanIco } from "../formats/ico.ts";
import { scanAvif, scanHeic } from "../formats/iso-media.ts";
import { scanJpeg } from "../formats/jpeg.ts";
import { scanPng } from "../formats/png.ts";
import { type Findings, feed, nothingFound, type Scanner } from "../formats/scan.ts";
import { sniff } from "../formats/sniff.ts";
import { scanSvg } from "../formats/svg.ts";
import { scanTiff } from "../formats/tiff.ts";
import { scanWebp } from "../formats/webp.ts";

/**
 * The delimiter of the origin's message. `length`: Content-Length. `chunked`: the last chunk. `close`: the end of the
 * connection.
 */
export type Framing = "length" | "chunked" | "close";

/** Digests declared by the origin's head, raw bytes. */
export interface DeclaredDigests {
  readonly md5?: Buffer;
  readonly sha1?: Buffer;
  readonly sha256?: Buffer;
}

/**
 * `whole`: may be stored. `suspect`: magic is known and the declared length was met, but structure or a declared hash
 * is wrong; it may be sent to clients but never stored as good. `broken`: the body is truncated, empty or not an image;
 * `code` tells the reason.
 */
export type Verdict =
  | { readonly kind: "whole"; readonly image: ImageFacts }
  | { readonly kind: "suspect"; readonly image: ImageFacts; readonly reason: "structure" | "hash" }
  | {
      readonly kind: "broken";
      readonly code: Extract<ErrorCode, "origin_truncated" | "origin_empty" | "origin_not_image">;
    };

/** The end of a body. */
export interface BodyEnd {
  readonly framing: Framing;
  /**
   * True if the declared length was met or the last chunk arrived. It has no meaning for `close`, where only the
   * structure proves completeness.
   */
  readonly isFramingWhole: boolean;
  /** False if a digest declared by the origin differs. */
  readonly isHashRight: boolean;
}

const SCANNERS: Readonly<Record<ImageFormat, Scanner>> = {
  jpeg: scanJpeg,
  png: scanPng,
  gif: scanGif,
  webp: scanWebp,
  avif: scanAvif,
  bmp: scanBmp,
  heic: scanHeic,
  tiff: scanTiff,
  ico: scanIco,
  svg: scanSvg,
};

/** Makes a gate for one body. Its methods never throw, whatever the bytes. */
export function createGate(): Gate {
  return new Gate();
}

/**
 * Inspects one body as it streams past. Holds at most a few KiB, of a TIFF 64 KiB, whatever the body contains. A class,
 * because each miss makes one.
 */
export class Gate {
  /**
   * `more`: too few bytes to decide; `image`: known magic (the image's size may still be unknown); `foreign`: no
   * supported image.
   */
  head: "more" | "image" | "foreign" = "more";
  /** Undefined until `head` is `image`. */
  image: ImageFacts | undefined;
  #received = 0;
  /** A copy of the bytes so far, a few dozen at most, while they are too few to decide. */
  #undecided: Buffer | undefined;
  #format: ImageFormat | undefined;
  #scan: ((chunk: Buffer) => void) | undefined;
  readonly #findings = nothingFound();

  /** True once the structure is complete; trailing bytes after a complete image are allowed. */
  get isStructureWhole(): boolean {
    return this.#findings.structure === "complete";
  }

  /** The next bytes, in order. */
  push(chunk: Buffer): void {
    this.#received += chunk.length;
    const bytes = this.head === "more" && this.#scan === undefined ? this.#open(chunk) : chunk;
    this.#scan?.(bytes);
    if (this.head === "more") this.#judgeText();
    const format = this.#format;
    if (format === undefined) return;
    const { width, height } = this.#findings;
    const hasChanged = this.image === undefined || this.image.width !== width || this.image.height !== height;
    if (hasChanged) this.image = { format, width, height };
  }

  /** The verdict at the end of the body. */
  verdict(end: BodyEnd): Verdict {
    if (this.#received === 0) return { kind: "broken", code: "origin_empty" };
    if (this.image === undefined) return { kind: "broken", code: "origin_not_image" };
    return verdictOf(this.image, this.#findings.structure, end);
  }

  /** Sniffs the format; returns the bytes that the scan starts with. */
  #open(chunk: Buffer): Buffer {
    const bytes = this.#undecided === undefined ? chunk : Buffer.concat([this.#undecided, chunk]);
    const sniffed = sniff(bytes);
    this.#undecided = sniffed === "more" ? Buffer.from(bytes) : undefined;
    if (sniffed === "more") return bytes;
    if (sniffed === "svg") {
      this.#scan = feed(scanSvg, this.#findings);
      return bytes;
    }
    this.head = sniffed === "foreign" ? "foreign" : "image";
    if (sniffed === "foreign") return bytes;
    this.#format = sniffed;
    this.#scan = feed(SCANNERS[sniffed], this.#findings);
    return bytes;
  }

  /** Text is an image once its root element is found to be `svg`. */
  #judgeText(): void {
    const { isSvg } = this.#findings;
    if (isSvg === undefined) return;
    this.head = isSvg ? "image" : "foreign";
    if (isSvg) this.#format = "svg";
    else this.#scan = undefined;
  }
}

/**
 * Combines structure, framing and hash. A complete structure proves any body; whole framing proves a body of an
 * unmarked format.
 */
function verdictOf(image: ImageFacts, structure: Findings["structure"], end: BodyEnd): Verdict {
  const truncated = { kind: "broken", code: "origin_truncated" } as const;
  const isClosed = end.framing === "close";
  if (!isClosed && !end.isFramingWhole) return truncated;
  const isProven = structure === "complete" || (structure === "unmarked" && !isClosed);
  // Only a declared length distinguishes a file that is odd at its source from one truncated in transfer.
  if (!isProven) return end.framing === "length" ? { kind: "suspect", image, reason: "structure" } : truncated;
  return end.isHashRight ? { kind: "whole", image } : { kind: "suspect", image, reason: "hash" };
}

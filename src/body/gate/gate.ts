// The proof that a body is a whole image: framing, magic, structure and declared hashes, read as the bytes stream by.
// No decoding and no I/O. What is done with the verdict is mirror/'s affair.
import type { ErrorCode } from "../../core/errors.ts";
import type { ImageFacts, ImageFormat } from "../../core/object.ts";
import { scanBmp } from "../formats/bmp.ts";
import { scanGif } from "../formats/gif.ts";
import { scanIco } from "../formats/ico.ts";
import { scanAvif, scanHeic } from "../formats/iso-media.ts";
import { scanJpeg } from "../formats/jpeg.ts";
import { scanPng } from "../formats/png.ts";
import { type Findings, feed, nothingFound, type Scanner } from "../formats/scan.ts";
import { sniff } from "../formats/sniff.ts";
import { scanWebp } from "../formats/webp.ts";

/** How the origin's message was delimited. `length`: Content-Length. `chunked`: ended by the last chunk. `close`: by closing. */
export type Framing = "length" | "chunked" | "close";

/** Digests that the origin's head declared, raw bytes. */
export interface DeclaredDigests {
  readonly md5?: Buffer;
  readonly sha1?: Buffer;
  readonly sha256?: Buffer;
}

/**
 * `whole`: may be stored. `suspect`: known magic and the declared length met, but structure or a declared hash is
 * wrong; may be passed on, never stored as good. `broken`: a truncated, empty or foreign body; `code` says which.
 */
export type Verdict =
  | { readonly kind: "whole"; readonly image: ImageFacts }
  | { readonly kind: "suspect"; readonly image: ImageFacts; readonly reason: "structure" | "hash" }
  | {
      readonly kind: "broken";
      readonly code: Extract<ErrorCode, "origin_truncated" | "origin_empty" | "origin_not_image">;
    };

/** How a body ended. */
export interface BodyEnd {
  readonly framing: Framing;
  /** The declared length was met, or the last chunk seen. Means nothing for `close`, where only structure can prove anything. */
  readonly isFramingWhole: boolean;
  /** False when a digest that the origin declared differs. */
  readonly isHashRight: boolean;
}

/** Watches one body go by. Holds at most a few KiB, whatever the body does. */
export interface Gate {
  /** The next bytes, in order. */
  push(chunk: Buffer): void;
  /** `more`: too few bytes to tell; `image`: known magic (facts may still lack the size); `foreign`: no image that we take. */
  readonly head: "more" | "image" | "foreign";
  /** Undefined until `head` is `image`. */
  readonly image: ImageFacts | undefined;
  /** True once the structure is complete; trailing bytes after a complete image are fine. */
  readonly isStructureWhole: boolean;
  /** The verdict at the end of the body. */
  verdict(end: BodyEnd): Verdict;
}

const SCANNERS: Readonly<Record<ImageFormat, Scanner | undefined>> = {
  jpeg: scanJpeg,
  png: scanPng,
  gif: scanGif,
  webp: scanWebp,
  avif: scanAvif,
  bmp: scanBmp,
  heic: scanHeic,
  tiff: undefined,
  ico: scanIco,
};

/** Stored as they are: nothing in them is taken as the proof of their end. */
const UNMARKED_FORMATS: ReadonlySet<ImageFormat> = new Set(["heic", "tiff", "ico"]);

/** A gate for one body. Its methods never throw, whatever the bytes. */
export function createGate(): Gate {
  let received = 0;
  /** A copy of the bytes so far while they are too few to tell; a few dozen at most. */
  let undecided: Buffer | undefined;
  let format: ImageFormat | undefined;
  let scan: ((chunk: Buffer) => void) | undefined;
  const findings = nothingFound();

  /** Settles what the body is; returns the bytes that the scan begins with. */
  function open(chunk: Buffer): Buffer {
    const bytes = undecided === undefined ? chunk : Buffer.concat([undecided, chunk]);
    const sniffed = sniff(bytes);
    undecided = undefined;
    if (sniffed === "more") {
      undecided = Buffer.from(bytes);
    } else if (sniffed === "foreign") {
      gate.head = "foreign";
    } else {
      gate.head = "image";
      format = sniffed;
      if (UNMARKED_FORMATS.has(sniffed)) findings.structure = "unmarked";
      const scanner = SCANNERS[sniffed];
      if (scanner !== undefined) scan = feed(scanner, findings);
    }
    return bytes;
  }

  /** What has been found out so far. */
  function publishFindings(): void {
    if (format === undefined) return;
    const { width, height } = findings;
    const hasChanged = gate.image === undefined || gate.image.width !== width || gate.image.height !== height;
    if (hasChanged) gate.image = { format, width, height };
    gate.isStructureWhole = findings.structure === "complete";
  }

  // Fields and no getters: V8 makes a slow object of every literal with a getter.
  const gate: { -readonly [Name in keyof Gate]: Gate[Name] } = {
    head: "more",
    image: undefined,
    isStructureWhole: false,
    push(chunk) {
      received += chunk.length;
      const bytes = gate.head === "more" ? open(chunk) : chunk;
      scan?.(bytes);
      publishFindings();
    },
    verdict(end) {
      if (received === 0) return { kind: "broken", code: "origin_empty" };
      if (gate.image === undefined) return { kind: "broken", code: "origin_not_image" };
      return verdictOf(gate.image, findings.structure, end);
    },
  };
  return gate;
}

/** What structure, framing and hash together allow. A complete structure proves any body, framing one that does not mark its end. */
function verdictOf(image: ImageFacts, structure: Findings["structure"], end: BodyEnd): Verdict {
  const truncated = { kind: "broken", code: "origin_truncated" } as const;
  const isClosed = end.framing === "close";
  if (!isClosed && !end.isFramingWhole) return truncated;
  const isProven = structure === "complete" || (structure === "unmarked" && !isClosed);
  // Only a declared length tells a file that is odd at its source from one that was cut on the way.
  if (!isProven) return end.framing === "length" ? { kind: "suspect", image, reason: "structure" } : truncated;
  return end.isHashRight ? { kind: "whole", image } : { kind: "suspect", image, reason: "hash" };
}

// Scans WebP (RFC 9649): RIFF chunks by their lengths, up to the end that the RIFF header declares. Animation frames
// lie inside chunks.
import { type Findings, fourLetters, type Input, type Scan } from "./scan.ts";

const RIFF_HEAD_BYTES = 12;
const CHUNK_HEAD_BYTES = 8;

const VP8 = fourLetters("VP8 ");
const VP8L = fourLetters("VP8L");
const VP8X = fourLetters("VP8X");
const ANMF = fourLetters("ANMF");
/**
 * The extended header (VP8X) only announces an image. These chunks contain one; ANMF contains a frame of an animation.
 */
const PICTURES: ReadonlySet<number> = new Set([VP8, VP8L, ANMF]);

/** The first chunk of a WebP is one of these; the number is how many of its bytes contain the size. */
const SIZE_BYTES: ReadonlyMap<number, number> = new Map([
  [VP8, 10],
  [VP8L, 5],
  [VP8X, 10],
]);
/** A flag in the first byte of the extended header. */
const ANIMATED = 0x02;

/**
 * Complete at the RIFF size if there was an image and the chunks fill that size, with a pad byte after each odd one.
 * libwebp, which libvips and browsers use, refuses a last chunk without its pad, and bytes at the end that are not a
 * chunk.
 */
export function* scanWebp(findings: Findings, input: Input): Scan {
  while (!input.take(RIFF_HEAD_BYTES)) yield;
  const end = input.uint32LE(4) + 8;
  let at = RIFF_HEAD_BYTES;
  let isPictureSeen = false;
  let isAnimated = false;
  while (end - at >= CHUNK_HEAD_BYTES) {
    while (!input.take(CHUNK_HEAD_BYTES)) yield;
    const isFirst = at === RIFF_HEAD_BYTES;
    at += CHUNK_HEAD_BYTES;
    const type = input.uint32BE(0);
    const length = input.uint32LE(4);
    const padded = length + (length % 2);
    if (at + padded > end) return;
    if (PICTURES.has(type)) isPictureSeen = true;
    let passed = 0;
    if (isFirst) {
      const head = yield* readHead(findings, input, type, length);
      if (head === undefined) return;
      ({ passed, isAnimated } = head);
    } else if (isAnimated && type === ANMF) {
      findings.frames += 1;
    }
    at += padded;
    input.skip(padded - passed);
  }
  if (!isPictureSeen || at !== end) return;
  while (!input.take(0)) yield;
  findings.structure = "complete";
}

/**
 * Reads the head of the first chunk; returns how many of its bytes were read. Undefined if the chunk cannot be the
 * first.
 */
function* readHead(
  findings: Findings,
  input: Input,
  type: number,
  length: number,
): Generator<undefined, { readonly passed: number; readonly isAnimated: boolean } | undefined, undefined> {
  const passed = SIZE_BYTES.get(type);
  if (passed === undefined || length < passed) return undefined;
  while (!input.take(passed)) yield;
  readSize(findings, type, input.taken());
  return { passed, isAnimated: type === VP8X && (input.byte(0) & ANIMATED) !== 0 };
}

function readSize(findings: Findings, type: number, bytes: Buffer): void {
  if (type === VP8X) {
    findings.width = bytes.readUIntLE(4, 3) + 1;
    findings.height = bytes.readUIntLE(7, 3) + 1;
  } else if (type === VP8L) {
    const packed = bytes.readUInt32LE(1);
    findings.width = (packed & 0x3fff) + 1;
    findings.height = ((packed >>> 14) & 0x3fff) + 1;
  } else {
    // The two high bits of each are a display scale.
    findings.width = bytes.readUInt16LE(6) & 0x3fff || undefined;
    findings.height = bytes.readUInt16LE(8) & 0x3fff || undefined;
  }
}

// WebP (RFC 9649): RIFF chunks by their lengths, to the end that the RIFF header gives. Frames of animations lie inside chunks.
import { type Findings, type Scan, skip, take } from "./scan.ts";

const RIFF_HEAD_BYTES = 12;
const CHUNK_HEAD_BYTES = 8;

/**
 * Complete where the RIFF size says, when there was a picture; the pad byte of an odd last chunk may be missing, which
 * every decoder forgives.
 */
export function* scanWebp(findings: Findings): Scan {
  const riff = yield take(RIFF_HEAD_BYTES);
  const end = riff.readUInt32LE(4) + 8;
  let at = RIFF_HEAD_BYTES;
  let isPictureSeen = false;
  while (end - at >= CHUNK_HEAD_BYTES) {
    const head = yield take(CHUNK_HEAD_BYTES);
    const isFirst = at === RIFF_HEAD_BYTES;
    at += CHUNK_HEAD_BYTES;
    const length = head.readUInt32LE(4);
    const type = head.toString("latin1", 0, 4);
    if (at + length > end) return;
    if (PICTURE_CHUNKS.has(type)) isPictureSeen = true;
    let toSkip = length;
    if (isFirst) {
      const bytesNeeded = SIZE_BYTES[type];
      if (bytesNeeded === undefined || length < bytesNeeded) return;
      readSize(findings, type, yield take(bytesNeeded));
      toSkip -= bytesNeeded;
    }
    at += length + (length % 2);
    const isLast = at >= end;
    yield skip(isLast ? toSkip : toSkip + (length % 2));
  }
  if (!isPictureSeen) return;
  yield skip(Math.max(0, end - at));
  findings.structure = "complete";
}

/** The extended header (VP8X) promises a picture; these hold one, ANMF a frame of an animation. */
const PICTURE_CHUNKS: ReadonlySet<string> = new Set(["VP8 ", "VP8L", "ANMF"]);

/** The first chunk of a WebP is one of these; so many bytes of it hold the size. */
const SIZE_BYTES: Readonly<Record<string, number>> = { "VP8 ": 10, VP8L: 5, VP8X: 10 };

function readSize(findings: Findings, type: string, bytes: Buffer): void {
  if (type === "VP8X") {
    findings.width = bytes.readUIntLE(4, 3) + 1;
    findings.height = bytes.readUIntLE(7, 3) + 1;
  } else if (type === "VP8L") {
    const packed = bytes.readUInt32LE(1);
    findings.width = (packed & 0x3fff) + 1;
    findings.height = ((packed >>> 14) & 0x3fff) + 1;
  } else {
    // The two high bits of each are a scale for display.
    findings.width = bytes.readUInt16LE(6) & 0x3fff || undefined;
    findings.height = bytes.readUInt16LE(8) & 0x3fff || undefined;
  }
}

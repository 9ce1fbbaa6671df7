// JPEG (ITU-T T.81 annex B): segments by their lengths, entropy-coded data by its markers, to the EOI.
import { type Findings, type Scan, type Step, take } from "./scan.ts";

const FILL = 0xff;
const STUFFED = 0x00;
const TEM = 0x01;
const RST0 = 0xd0;
const RST7 = 0xd7;
const SOI = 0xd8;
const EOI = 0xd9;
const SOS = 0xda;

/** Complete at the first EOI that follows a scan; an EOI inside a segment, as of a thumbnail, is passed over. */
export function* scanJpeg(findings: Findings): Scan {
  let isScanSeen = false;
  let isFrameSeen = false;
  let toSkip = 2;
  for (;;) {
    let marker = (yield nextMarker(toSkip)).readUInt8(1);
    toSkip = 0;
    while (marker === FILL) marker = (yield take(1)).readUInt8(0);
    if (marker === EOI) {
      if (isScanSeen) findings.structure = "complete";
      return;
    }
    if (isBare(marker)) continue;
    toSkip = (yield take(2)).readUInt16BE(0) - 2;
    if (toSkip < 0) return;
    // A decoder goes by the first frame; one behind its scan is not looked at.
    if (isFrame(marker) && !isFrameSeen && !isScanSeen && toSkip >= 5) {
      isFrameSeen = true;
      const frame = yield take(5);
      findings.height = frame.readUInt16BE(1) || undefined;
      findings.width = frame.readUInt16BE(3) || undefined;
      toSkip -= 5;
    }
    if (marker === SOS) isScanSeen = true;
  }
}

/** Also between segments bytes that are no marker are passed over, as decoders do. */
function nextMarker(skip: number): Step {
  return { skip, find: findMarker, take: 2 };
}

/** An FF at the end of a chunk is reported: what it is shows in the next chunk. */
function findMarker(chunk: Buffer, from: number): number {
  let at = chunk.indexOf(FILL, from);
  while (at !== -1) {
    const next = chunk[at + 1];
    if (next !== STUFFED && !isRestart(next)) return at;
    at = chunk.indexOf(FILL, at + 2);
  }
  return -1;
}

function isRestart(byte: number | undefined): boolean {
  return byte !== undefined && byte >= RST0 && byte <= RST7;
}

/** Followed by no length. */
function isBare(marker: number): boolean {
  return marker === STUFFED || marker === TEM || marker === SOI || isRestart(marker);
}

/** SOF0 to SOF15; among them lie DHT (C4), JPG (C8) and DAC (CC). */
function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
}

// JPEG (ITU-T T.81 annex B): segments by their lengths, entropy-coded data by its markers, to the EOI.
import type { Findings, Input, Scan } from "./scan.ts";

export const FILL = 0xff;
const STUFFED = 0x00;
const TEM = 0x01;
const RST0 = 0xd0;
const RST7 = 0xd7;
const SOI = 0xd8;
export const EOI = 0xd9;
export const SOS = 0xda;

/** Complete at the first EOI that follows a scan; an EOI inside a segment, as of a thumbnail, is passed over. */
export function* scanJpeg(findings: Findings, input: Input): Scan {
  let isScanSeen = false;
  let isFrameSeen = false;
  input.skip(2);
  for (;;) {
    // Also between segments bytes that are no marker are passed over, as decoders do.
    while (!input.find(findMarker, 2)) yield;
    const marker = input.byte(1);
    if (marker === EOI) break;
    if (marker === FILL) input.skip(-1);
    if (isBare(marker)) continue;
    while (!input.take(2)) yield;
    let length = input.uint16BE(0) - 2;
    if (length < 0) return;
    // A decoder goes by the first frame; one behind its scan is not looked at.
    if (isFrame(marker) && !isFrameSeen && !isScanSeen && length >= FRAME_BYTES) {
      isFrameSeen = true;
      yield* readFrame(findings, input);
      length -= FRAME_BYTES;
    }
    input.skip(length);
    if (marker === SOS) isScanSeen = true;
  }
  if (isScanSeen) findings.structure = "complete";
}

/** Of a frame, to the end of its sides. */
const FRAME_BYTES = 5;

function* readFrame(findings: Findings, input: Input): Scan {
  while (!input.take(FRAME_BYTES)) yield;
  findings.height = input.uint16BE(1) || undefined;
  findings.width = input.uint16BE(3) || undefined;
}

/**
 * The next marker that is no restart, whatever bytes stand before it. An FF at the end of a chunk is reported: what it is shows in the
 * next chunk.
 */
export function findMarker(chunk: Buffer, from: number): number {
  // Where segments follow each other it stands right here, and a search takes longer to call than to do.
  let at = chunk[from] === FILL ? from : chunk.indexOf(FILL, from);
  while (at !== -1) {
    const next = chunk[at + 1];
    if (next === FILL) at += 1;
    else if (next === STUFFED || isRestart(next)) at = chunk.indexOf(FILL, at + 2);
    else return at;
  }
  return -1;
}

function isRestart(byte: number | undefined): boolean {
  return byte !== undefined && byte >= RST0 && byte <= RST7;
}

/** Followed by no length. Any number of fill bytes may stand before a marker. */
export function isBare(marker: number): boolean {
  return marker === FILL || marker === STUFFED || marker === TEM || marker === SOI || isRestart(marker);
}

/** SOF0 to SOF15; among them lie DHT (C4), JPG (C8) and DAC (CC). */
export function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
}

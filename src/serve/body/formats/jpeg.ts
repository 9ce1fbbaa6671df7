// Scans JPEG (ITU-T T.81 annex B): segments by their lengths, entropy-coded data by its markers, up to the EOI.
import type { Findings, Input, Scan } from "./scan.ts";

const FILL = 0xff;
const STUFFED = 0x00;
const TEM = 0x01;
const RST0 = 0xd0;
const RST7 = 0xd7;
const SOI = 0xd8;
export const EOI = 0xd9;
export const SOS = 0xda;

/** Complete at the first EOI after a scan. An EOI inside a segment, such as a thumbnail's, is skipped. */
export function* scanJpeg(findings: Findings, input: Input): Scan {
  let isScanSeen = false;
  let isFrameSeen = false;
  input.skip(2);
  for (;;) {
    // Bytes between segments that are not a marker are skipped too, as decoders do.
    while (!input.find(findMarker, 2)) yield;
    const marker = input.byte(1);
    if (marker === EOI) break;
    if (marker === FILL) input.skip(-1);
    if (isBare(marker)) continue;
    while (!input.take(2)) yield;
    let length = input.uint16BE(0) - 2;
    if (length < 0) return;
    // Decoders use the first frame; a frame after its scan is ignored.
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

/** Bytes of a frame header up to its width and height. */
const FRAME_BYTES = 5;

function* readFrame(findings: Findings, input: Input): Scan {
  while (!input.take(FRAME_BYTES)) yield;
  findings.height = input.uint16BE(1) || undefined;
  findings.width = input.uint16BE(3) || undefined;
}

/**
 * Finds the next marker that is not a restart, whatever bytes precede it. An FF at the end of a chunk is reported,
 * because only the next chunk tells its meaning.
 */
export function findMarker(chunk: Buffer, from: number): number {
  // Between segments the marker is at `from`, and calling indexOf costs more than this test.
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

/** True for markers without a length. Any number of fill bytes may precede a marker. */
export function isBare(marker: number): boolean {
  return marker === FILL || marker === STUFFED || marker === TEM || marker === SOI || isRestart(marker);
}

/** SOF0 to SOF15; DHT (C4), JPG (C8) and DAC (CC) lie in the same range. */
export function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
}

// Scans PNG (W3C PNG third edition §5): chunks by their lengths, from IHDR to IEND. It does not verify checksums;
// decoders do.
import { type Findings, fourLetters, type Input, type Scan } from "./scan.ts";

const SIGNATURE_BYTES = 8;
const MAX_CHUNK_BYTES = 0x7fff_ffff;
const HEADER_BYTES = 13;
const CHECKSUM_BYTES = 4;

const IHDR = fourLetters("IHDR");
const IDAT = fourLetters("IDAT");
const IEND = fourLetters("IEND");

/** Complete after the checksum of IEND if there was image data. */
export function* scanPng(findings: Findings, input: Input): Scan {
  input.skip(SIGNATURE_BYTES);
  while (!input.take(8 + HEADER_BYTES)) yield;
  if (input.uint32BE(0) !== HEADER_BYTES || input.uint32BE(4) !== IHDR) return;
  findings.width = input.uint32BE(8) || undefined;
  findings.height = input.uint32BE(12) || undefined;
  input.skip(CHECKSUM_BYTES);
  let isDataSeen = false;
  let type: number;
  do {
    while (!input.take(8)) yield;
    const length = input.uint32BE(0);
    if (length > MAX_CHUNK_BYTES) return;
    type = input.uint32BE(4);
    if (type === IDAT) isDataSeen = true;
    input.skip(length + CHECKSUM_BYTES);
  } while (type !== IEND);
  while (!input.take(0)) yield;
  if (isDataSeen) findings.structure = "complete";
}

// PNG (W3C PNG third edition §5): chunks by their lengths, from IHDR to IEND. Checksums are a decoder's affair.
import { type Findings, type Scan, skip, take } from "./scan.ts";

const SIGNATURE_BYTES = 8;
const MAX_CHUNK_BYTES = 0x7fff_ffff;
const HEADER_BYTES = 13;
const CHECKSUM_BYTES = 4;

/** Complete after the checksum of IEND, when there was image data. */
export function* scanPng(findings: Findings): Scan {
  const header = yield take(8 + HEADER_BYTES, SIGNATURE_BYTES);
  if (header.readUInt32BE(0) !== HEADER_BYTES || typeOf(header) !== "IHDR") return;
  findings.width = header.readUInt32BE(8) || undefined;
  findings.height = header.readUInt32BE(12) || undefined;
  let isDataSeen = false;
  let toSkip = CHECKSUM_BYTES;
  for (;;) {
    const head = yield take(8, toSkip);
    const length = head.readUInt32BE(0);
    if (length > MAX_CHUNK_BYTES) return;
    toSkip = length + CHECKSUM_BYTES;
    const type = typeOf(head);
    if (type === "IDAT") isDataSeen = true;
    if (type === "IEND") break;
  }
  yield skip(toSkip);
  if (isDataSeen) findings.structure = "complete";
}

function typeOf(head: Buffer): string {
  return head.toString("latin1", 4, 8);
}

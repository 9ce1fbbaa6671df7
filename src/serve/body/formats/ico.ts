// Scans ICO: the directory, whose images must lie behind it and inside the body, and the size of the largest image. It
// does not read the images.
import type { Findings, Input, Scan } from "./scan.ts";

const [HEAD_BYTES, ENTRY_BYTES] = [6, 16];

/** Complete at the end of the last image. A width or height of 0 in an entry means 256. */
export function* scanIco(findings: Findings, input: Input): Scan {
  while (!input.take(HEAD_BYTES)) yield;
  const count = input.uint16LE(4);
  const imagesAt = HEAD_BYTES + ENTRY_BYTES * count;
  let end = imagesAt;
  for (let entry = 0; entry < count; entry += 1) {
    while (!input.take(ENTRY_BYTES)) yield;
    const [bytes, at] = [input.uint32LE(8), input.uint32LE(12)];
    if (bytes === 0 || at < imagesAt) return;
    end = Math.max(end, at + bytes);
    const width = input.byte(0) || 256;
    const height = input.byte(1) || 256;
    if (width * height <= (findings.width ?? 0) * (findings.height ?? 0)) continue;
    findings.width = width;
    findings.height = height;
  }
  input.skip(end - imagesAt);
  while (!input.take(0)) yield;
  findings.structure = "complete";
}

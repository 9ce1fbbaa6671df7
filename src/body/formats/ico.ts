// Scans ICO: the size of the largest image in the icon's directory. Icons are stored as they are, without proof of
// their end.
import type { Findings, Input, Scan } from "./scan.ts";

/** A width or height of 0 in an entry means 256. */
export function* scanIco(findings: Findings, input: Input): Scan {
  while (!input.take(6)) yield;
  const count = input.uint16LE(4);
  for (let entry = 0; entry < count; entry += 1) {
    while (!input.take(16)) yield;
    const width = input.byte(0) || 256;
    const height = input.byte(1) || 256;
    if (width * height <= (findings.width ?? 0) * (findings.height ?? 0)) continue;
    findings.width = width;
    findings.height = height;
  }
}

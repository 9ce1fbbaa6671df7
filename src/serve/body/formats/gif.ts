// Scans GIF (87a, 89a §15–27): colour tables by their flags, blocks by their sub-blocks, up to the trailer.
import type { Findings, Input, Scan } from "./scan.ts";

const EXTENSION = 0x21;
const IMAGE = 0x2c;
const TRAILER = 0x3b;
/** Some encoders leave a zero between blocks. Browsers skip it; libvips fails. */
const STRAY_ZERO = 0x00;

/** Complete at the trailer if there was an image block. */
export function* scanGif(findings: Findings, input: Input): Scan {
  while (!input.take(13)) yield;
  noteScreen(findings, input);
  input.skip(gifTableBytes(input.byte(10)));
  for (;;) {
    while (!input.take(1)) yield;
    const block = input.byte(0);
    if (block === STRAY_ZERO) continue;
    if (block === TRAILER) break;
    if (block === EXTENSION) {
      input.skip(1); // the label
    } else if (block === IMAGE) {
      while (!input.take(9)) yield;
      noteFrame(findings, input);
      input.skip(gifTableBytes(input.byte(8)) + 1); // the code size
    } else {
      return;
    }
    // Sub-blocks up to the empty one.
    let length: number;
    do {
      while (!input.take(1)) yield;
      length = input.byte(0);
      input.skip(length);
    } while (length > 0);
  }
  if (findings.frames > 0) findings.structure = "complete";
}

/** Reads the size from the logical screen descriptor. */
function noteScreen(findings: Findings, input: Input): void {
  findings.width = input.uint16LE(6) || undefined;
  findings.height = input.uint16LE(8) || undefined;
}

/** Reads the extent of a frame from its image descriptor. */
function noteFrame(findings: Findings, input: Input): void {
  findings.frames += 1;
  findings.framesWidth = Math.max(findings.framesWidth, input.uint16LE(0) + input.uint16LE(4));
  findings.framesHeight = Math.max(findings.framesHeight, input.uint16LE(2) + input.uint16LE(6));
}

/** Bytes of the colour table that a flags byte announces. */
function gifTableBytes(flags: number): number {
  return flags & 0x80 ? 3 << ((flags & 0x07) + 1) : 0;
}

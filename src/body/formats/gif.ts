// GIF (87a, 89a §15–27): colour tables by their flags, blocks by their sub-blocks, to the trailer.
import { type Findings, type Scan, take } from "./scan.ts";

const EXTENSION = 0x21;
const IMAGE = 0x2c;
const TRAILER = 0x3b;
/** Some encoders leave a zero between blocks; every decoder passes over it. */
const STRAY_ZERO = 0x00;

/** Complete at the trailer, when there was a picture. */
export function* scanGif(findings: Findings): Scan {
  const screen = yield take(13);
  findings.width = screen.readUInt16LE(6) || undefined;
  findings.height = screen.readUInt16LE(8) || undefined;
  let toSkip = tableBytes(screen.readUInt8(10));
  let isPictureSeen = false;
  for (;;) {
    const block = (yield take(1, toSkip)).readUInt8(0);
    toSkip = 0;
    if (block === EXTENSION) {
      yield* passSubBlocks(1);
    } else if (block === IMAGE) {
      isPictureSeen = true;
      const descriptor = yield take(9);
      yield* passSubBlocks(tableBytes(descriptor.readUInt8(8)) + 1);
    } else if (block === TRAILER) {
      if (isPictureSeen) findings.structure = "complete";
      return;
    } else if (block !== STRAY_ZERO) {
      return;
    }
  }
}

/** Passes over `before` bytes (label, colour table, code size), then sub-blocks up to the empty one. */
function* passSubBlocks(before: number): Scan {
  let toSkip = before;
  do toSkip = (yield take(1, toSkip)).readUInt8(0);
  while (toSkip > 0);
}

/** Bytes of the colour table that a flags byte announces. */
function tableBytes(flags: number): number {
  return flags & 0x80 ? 3 << ((flags & 0x07) + 1) : 0;
}

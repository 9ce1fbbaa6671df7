// Makes libvips show the whole screen of a GIF, as browsers do. Its decoder distrusts screens of the size of old
// monitors and sides above 2048. It uses the extent of the first frame instead, so that pixels outside would be lost.
// Such a GIF gets an invisible first frame that covers the screen. It changes no other frame.

import { withClearBackground } from "./gif-background.ts";
import { type GifFrame, gifFramesIn, gifTableBytes, withoutStrayZeros } from "./gif-frames.ts";

/** A GIF that libvips shows as browsers show the original. */
export interface ReadableGif {
  readonly bytes: Buffer;
  /** Page number of the image's first frame in libvips; 1 if an invisible frame was added before it. */
  readonly firstPage: 0 | 1;
}

const DISTRUSTED: readonly (readonly [number, number])[] = [
  [640, 480],
  [640, 512],
  [800, 600],
  [1024, 768],
  [1280, 1024],
  [1600, 1200],
];
const LONGEST_TRUSTED = 2048;

/** `stored`: a complete GIF, which is not changed. */
export function readableGif(stored: Buffer): ReadableGif {
  const file = withoutStrayZeros(stored);
  const screen = screenOf(file);
  const [first] = gifFramesIn(file);
  if (first === undefined || isTrusted(screen) || covers(first, screen))
    return { bytes: withClearBackground(file), firstPage: 0 };
  const head = 13 + gifTableBytes(file[10] ?? 0);
  // A first frame larger than the screen enlarges the screen.
  const width = Math.max(screen.width, first.left + first.width);
  const height = Math.max(screen.height, first.top + first.height);
  const whole = Buffer.concat([file.subarray(0, head), clearFrame(width, height), file.subarray(head)]);
  return { bytes: withClearBackground(whole), firstPage: 1 };
}

interface Screen {
  readonly width: number;
  readonly height: number;
}

function screenOf(file: Buffer): Screen {
  return { width: file.readUInt16LE(6), height: file.readUInt16LE(8) };
}

function isTrusted({ width, height }: Screen): boolean {
  if (Math.max(width, height) > LONGEST_TRUSTED) return false;
  return !DISTRUSTED.some(([across, down]) => width === across && height === down);
}

function covers(first: GifFrame, { width, height }: Screen): boolean {
  return first.left + first.width >= width && first.top + first.height >= height;
}

/** Codes of the invisible frame: two bits a colour, then the clear code and the end code. */
const [CODE_BITS, CLEAR, END] = [2, 4, 5] as const;
/** Its control extension: colour 0 is transparent, and the frame is not disposed of. */
const CONTROL = [0x21, 0xf9, 4, (1 << 2) | 1, 0, 0, 0, 0] as const;
const MOST_CODE_BITS = 12;
/** Pixels of the longest code. */
const LONGEST_RUN = (1 << MOST_CODE_BITS) - END;

function clearFrame(width: number, height: number): Buffer {
  const place = Buffer.alloc(11);
  place[0] = 0x2c;
  place.writeUInt16LE(width, 5);
  place.writeUInt16LE(height, 7);
  place[10] = CODE_BITS;
  return Buffer.concat([Buffer.from(CONTROL), place, ...subBlocks(pressedRun(width * height))]);
}

/** LZW (89a, appendix F) of this many pixels of colour 0: each code stands for one pixel more than the previous one. */
function pressedRun(pixels: number): Buffer {
  const bytes: number[] = [];
  let [waiting, waitingBits] = [0, 0];
  let bits = CODE_BITS + 1;
  const put = (code: number) => {
    waiting |= code << waitingBits;
    for (waitingBits += bits; waitingBits >= 8; waitingBits -= 8, waiting >>>= 8) bytes.push(waiting & 255);
  };
  put(CLEAR);
  let known = END + 1;
  let run = 0;
  for (let left = pixels; left > 0; left -= run) {
    run = Math.min(run + 1, LONGEST_RUN, left);
    put(run === 1 ? 0 : END - 1 + run);
    // The decoder adds a code with each code except the first.
    if (left < pixels && known < 1 << MOST_CODE_BITS) known += 1;
    if (known === 1 << bits && bits < MOST_CODE_BITS) bits += 1;
  }
  put(END);
  if (waitingBits > 0) bytes.push(waiting & 255);
  return Buffer.from(bytes);
}

function subBlocks(data: Buffer): Buffer[] {
  const blocks: Buffer[] = [];
  for (let at = 0; at < data.length; at += 255) {
    const block = data.subarray(at, at + 255);
    blocks.push(Buffer.from([block.length]), block);
  }
  return [...blocks, Buffer.from([0])];
}

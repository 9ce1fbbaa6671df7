// The pictures that the bench serves: real JPEGs of an exact size, another one for every path. Equal bytes would be
// stored once by a store that addresses blobs by content, and a miss would then cost it less than it costs its peers.
import { createHash } from "node:crypto";
import { noisyJpeg, segment } from "../helpers/images.ts";

const MARK_BYTES = 16;
/** Where the mark lies: after the start of image, inside a comment segment's payload. */
const MARK_AT = 2 + 4;
const COMMENT = 0xfe;
const MAX_COMMENT_BYTES = 65_533;

/** One size of picture; `for(path)` differs from path to path in 16 bytes of a comment. */
export interface Picture {
  readonly bytes: number;
  /** The start of the picture of this path, up to and with its mark. */
  headFor(path: string): Buffer;
  /** What follows the head, the same for all. */
  readonly rest: Buffer;
  for(path: string): Buffer;
}

/** A noisy JPEG of exactly `bytes` bytes, at least 2,000: as many pixels as fit, the rest is comments. */
export async function pictureOf(bytes: number): Promise<Picture> {
  const room = bytes - segment(COMMENT, Buffer.alloc(MARK_BYTES)).length;
  let jpeg = await noisyJpeg(16, 12);
  // Bytes grow with the square of the width; a guess from the last try comes within a comment of the size.
  for (let width = Math.sqrt(bytes), tries = 0; tries < 12; tries += 1) {
    const next = await noisyJpeg(Math.max(16, Math.floor(width)), Math.max(12, Math.floor(width * 0.75)));
    if (next.length <= room && next.length > jpeg.length) jpeg = next;
    if (jpeg.length > room * 0.97) break;
    width *= Math.sqrt((room * 0.985) / next.length);
  }
  return marked(jpeg, comments(room - jpeg.length));
}

/** The picture that a JPEG becomes with a mark in it, and with other comments behind that. */
export function marked(jpeg: Buffer, others: readonly Buffer[] = []): Picture {
  const mark = segment(COMMENT, Buffer.alloc(MARK_BYTES));
  const whole = Buffer.concat([jpeg.subarray(0, 2), mark, ...others, jpeg.subarray(2)]);
  const headFor = (path: string) => {
    const head = Buffer.from(whole.subarray(0, MARK_AT + MARK_BYTES));
    createHash("md5").update(path).digest().copy(head, MARK_AT);
    return head;
  };
  const rest = whole.subarray(MARK_AT + MARK_BYTES);
  return { bytes: whole.length, headFor, rest, for: (path) => Buffer.concat([headFor(path), rest]) };
}

/** Comment segments of together `bytes` bytes; fewer than 4 cannot be a segment and are left out. */
function comments(bytes: number): Buffer[] {
  const list: Buffer[] = [];
  for (let left = bytes; left >= 4; ) {
    const payload = Math.min(MAX_COMMENT_BYTES, left - 4);
    list.push(segment(COMMENT, Buffer.alloc(payload, 0x20)));
    left -= payload + 4;
  }
  return list;
}

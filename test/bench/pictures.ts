// The bench's pictures: real JPEGs of an exact size, a different one for every path. Equal bytes would be stored once
// by a content-addressed store, and its misses would then cost less than its competitors'.
import { createHash } from "node:crypto";
import { noisyJpeg, segment } from "../helpers/images.ts";

const MARK_BYTES = 16;
/** Offset of the mark: after the start of image, inside a comment segment's payload. */
const MARK_AT = 2 + 4;
const COMMENT = 0xfe;
const MAX_COMMENT_BYTES = 65_533;

/** Pictures of one size; `for(path)` differs between paths in 16 bytes of a comment. */
export interface Picture {
  readonly bytes: number;
  /** The beginning of this path's picture, up to and including its mark. */
  headFor(path: string): Buffer;
  /** The bytes after the head, the same for all paths. */
  readonly rest: Buffer;
  for(path: string): Buffer;
}

/** A noisy JPEG of exactly `bytes` bytes (at least 2,000): as many pixels as fit, filled up with comments. */
export async function pictureOf(bytes: number): Promise<Picture> {
  const room = bytes - segment(COMMENT, Buffer.alloc(MARK_BYTES)).length;
  let jpeg = await noisyJpeg(16, 12);
  // The size grows with the square of the width. Scaling the last try's width soon gives a size that comments can fill
  // up.
  for (let width = Math.sqrt(bytes), tries = 0; tries < 12; tries += 1) {
    const next = await noisyJpeg(Math.max(16, Math.floor(width)), Math.max(12, Math.floor(width * 0.75)));
    if (next.length <= room && next.length > jpeg.length) jpeg = next;
    if (jpeg.length > room * 0.97) break;
    width *= Math.sqrt((room * 0.985) / next.length);
  }
  return marked(jpeg, comments(room - jpeg.length));
}

/** Returns the JPEG with a mark and other comments inserted. */
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

/** Comment segments of `bytes` bytes in total; fewer than 4 bytes cannot form a segment and are omitted. */
function comments(bytes: number): Buffer[] {
  const list: Buffer[] = [];
  for (let left = bytes; left >= 4; ) {
    const payload = Math.min(MAX_COMMENT_BYTES, left - 4);
    list.push(segment(COMMENT, Buffer.alloc(payload, 0x20)));
    left -= payload + 4;
  }
  return list;
}

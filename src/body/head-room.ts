// A body with room before it. The head of its answer is written there, so that both are one piece for the kernel: with two, node
// makes lists of what is to be written, which takes 1 to 2 of the 15 µs of a hit. All who send a body share its room, and so it is lent.
import { bodyRoom } from "./body-room.ts";

/** Longer heads go as a piece of their own. */
export const HEAD_ROOM_BYTES = 1_024;
const IS_FREE = Symbol("the room before it is free");

type Roomy = Buffer & { [IS_FREE]?: boolean };

/** Place for a body of so many bytes, with room before it, in memory that is larger by HEAD_ROOM_BYTES at least. */
export function placeBehindRoom(memory: Buffer, bytes: number): Buffer {
  const roomy: Roomy = memory.subarray(HEAD_ROOM_BYTES, HEAD_ROOM_BYTES + bytes);
  roomy[IS_FREE] = true;
  return roomy;
}

/** The same bytes, with room. */
export function withHeadRoom(body: Buffer): Buffer {
  if (IS_FREE in body) return body;
  const roomy = placeBehindRoom(bodyRoom(HEAD_ROOM_BYTES + body.byteLength), body.byteLength);
  body.copy(roomy);
  return roomy;
}

/**
 * The head, one character a byte, and the body behind it; nobody may have them after `returnRoom(body)`. Undefined where there is no
 * room, or too little, or it is lent.
 */
export function lendRoom(body: Buffer, head: string): Buffer | undefined {
  const roomy: Roomy = body;
  if (roomy[IS_FREE] !== true || head.length > HEAD_ROOM_BYTES) return undefined;
  roomy[IS_FREE] = false;
  const whole = Buffer.from(body.buffer, body.byteOffset - head.length, head.length + body.byteLength);
  whole.write(head, "latin1");
  return whole;
}

/** By whoever has it lent, once the head is with the kernel or will never be. */
export function returnRoom(body: Buffer): void {
  const roomy: Roomy = body;
  roomy[IS_FREE] = true;
}

// Allocates memory for a body that is held whole, and reserves memory in front of it for the response head, so that
// head and body are one write. With two writes node builds lists of buffers, which costs 1 to 2 of the 15 µs of a hit.
// All responses of a body share its room, so a response borrows it.

/** From this size on, a buffer gets a mapping of its own. The system needs about a microsecond for each 4 KiB of it. */
const LARGE_BYTES = 1_048_576;

/**
 * Returns uninitialised or zeroed memory. A large buffer returns to the system as soon as nothing refers to it; malloc
 * keeps freed blocks of up to 32 MB in its heap, tens of megabytes after a few large images.
 */
export function bodyRoom(bytes: number): Buffer {
  if (bytes < LARGE_BYTES) return Buffer.allocUnsafe(bytes);
  // V8 maps the memory of resizable buffers, and takes all other memory from malloc.
  return Buffer.from(new ArrayBuffer(bytes, { maxByteLength: bytes }));
}

/** Returns the memory of a large buffer to the system at once, not at a later collection of garbage. */
export function releaseRoom({ buffer }: Buffer): void {
  if (buffer instanceof ArrayBuffer && buffer.resizable) buffer.resize(0);
}

/** The size of the room, bytes. A longer head is written separately. */
export const HEAD_ROOM_BYTES = 1_024;
const IS_FREE = Symbol("the room before it is free");

type Roomy = Buffer & { [IS_FREE]?: boolean };

/** Returns a view for a body of `bytes` bytes in `memory`, which is larger by at least HEAD_ROOM_BYTES. */
export function placeBehindRoom(memory: Buffer, bytes: number): Buffer {
  const roomy: Roomy = memory.subarray(HEAD_ROOM_BYTES, HEAD_ROOM_BYTES + bytes);
  roomy[IS_FREE] = true;
  return roomy;
}

/** Returns the same bytes with room in front; copies them only if they have none. */
export function withHeadRoom(body: Buffer): Buffer {
  if (IS_FREE in body) return body;
  const roomy = placeBehindRoom(bodyRoom(HEAD_ROOM_BYTES + body.byteLength), body.byteLength);
  body.copy(roomy);
  return roomy;
}

/**
 * Writes the head (one character a byte) in front of the body and returns both as one buffer, valid until
 * `returnRoom(body)`. Undefined if the body has no room, the room is too small, or it is lent.
 */
export function lendRoom(body: Buffer, head: string): Buffer | undefined {
  const roomy: Roomy = body;
  if (roomy[IS_FREE] !== true || head.length > HEAD_ROOM_BYTES) return undefined;
  roomy[IS_FREE] = false;
  const whole = Buffer.from(body.buffer, body.byteOffset - head.length, head.length + body.byteLength);
  whole.write(head, "latin1");
  return whole;
}

/** Ends the loan. The borrower calls it once the kernel has the head, or the head will not be sent. */
export function returnRoom(body: Buffer): void {
  const roomy: Roomy = body;
  roomy[IS_FREE] = true;
}

// Memory for a body that is held whole. malloc serves sizes up to 32 MB from its heap once one of them has been given back, and
// keeps what was given back to it: a server that has held a few large images would stay tens of megabytes larger.

/** From here on a mapping of its own, of which the system takes a microsecond for each 4 KiB. */
const LARGE_BYTES = 1_048_576;

/** Unfilled, or zeros. A large one goes back to the system as soon as nobody refers to it. */
export function bodyRoom(bytes: number): Buffer {
  if (bytes < LARGE_BYTES) return Buffer.allocUnsafe(bytes);
  // V8 maps what could be resized, and takes everything else from malloc.
  return Buffer.from(new ArrayBuffer(bytes, { maxByteLength: bytes }));
}

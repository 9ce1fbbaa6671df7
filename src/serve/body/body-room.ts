// Allocates memory for a body that is held whole. Once malloc has freed a block of up to 32 MB, it keeps such blocks in
// its heap. A server that held a few large images would stay tens of megabytes larger.

/** From this size on, a buffer gets a mapping of its own. The system needs about a microsecond for each 4 KiB of it. */
const LARGE_BYTES = 1_048_576;

/** Returns uninitialised or zeroed memory. A large buffer returns to the system as soon as nothing refers to it. */
export function bodyRoom(bytes: number): Buffer {
  if (bytes < LARGE_BYTES) return Buffer.allocUnsafe(bytes);
  // V8 maps the memory of resizable buffers, and takes all other memory from malloc.
  return Buffer.from(new ArrayBuffer(bytes, { maxByteLength: bytes }));
}

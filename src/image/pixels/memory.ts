// Memory of pixels in a render process: room for those that are filled by a loop of our own, and what has become of those that are
// not needed any more. While such a loop runs the process cannot look at its memory, so what does not fit is refused before.
import { HuiyuanError } from "../../core/errors.ts";

let maxResidentBytes = Number.POSITIVE_INFINITY;

/** For the whole process; it has no limit before. */
export function limitMemory(bytes: number): void {
  maxResidentBytes = bytes;
}

/** Unfilled. Throws image_too_large where the process would grow beyond its limit. */
export function allocatePixels(bytes: number): Buffer {
  if (process.memoryUsage.rss() + bytes <= maxResidentBytes) return Buffer.allocUnsafe(bytes);
  const found = `it needs more than ${maxResidentBytes} bytes of memory`;
  throw new HuiyuanError("image_too_large", `Cannot process: ${found}`);
}

/** Less than it is not worth the milliseconds. */
const MIN_COLLECTED_BYTES = 8 * 1024 * 1024;

/**
 * Gives back the memory of so many bytes of pixels to which nothing refers any more. V8 counts them, but comes for them only when they
 * are many times what it holds itself, which is several large images. Nothing where V8 does not offer it (`--expose-gc`).
 */
export function collectPixels(bytes: number): void {
  if (bytes >= MIN_COLLECTED_BYTES) globalThis.gc?.();
}

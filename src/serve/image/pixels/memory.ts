// Allocates and frees memory of pixels in a render process. Loops of our own fill these buffers, and while a loop runs
// the process cannot check its memory, so a buffer that does not fit is refused before. It sets no limit itself.
import { HuiyuanError } from "../../../core/errors.ts";

let maxResidentBytes = Number.POSITIVE_INFINITY;

/** Sets the memory limit of the whole process; without a call there is none. */
export function limitMemory(bytes: number): void {
  maxResidentBytes = bytes;
}

/** An uninitialised buffer. Throws image_too_large if the process would grow beyond its limit. */
export function allocatePixels(bytes: number): Buffer {
  if (process.memoryUsage.rss() + bytes <= maxResidentBytes) return Buffer.allocUnsafe(bytes);
  const found = `it needs more than ${maxResidentBytes} bytes of memory`;
  throw new HuiyuanError("image_too_large", `Cannot process: ${found}`);
}

/** Collecting less is not worth its milliseconds. */
const MIN_COLLECTED_BYTES = 8 * 1024 * 1024;

/**
 * Frees pixels of this many bytes that nothing refers to any more. V8 counts external memory, but collects it only when
 * it is many times its own heap, which means several large images. Has no effect without `--expose-gc`.
 */
export function collectPixels(bytes: number): void {
  if (bytes >= MIN_COLLECTED_BYTES) globalThis.gc?.();
}

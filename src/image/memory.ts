// Room for pixels that are filled by a loop of our own. While such a loop runs the process cannot look at its memory, so what
// does not fit is refused before.
import { HuiyuanError } from "../errors.ts";

let maxResidentBytes = Number.POSITIVE_INFINITY;

/** For the whole process; it has no limit before. */
export function limitMemory(bytes: number): void {
  maxResidentBytes = bytes;
}

/** Unfilled. Throws image_too_large where the process would grow beyond its limit. */
export function roomFor(bytes: number): Buffer {
  if (process.memoryUsage.rss() + bytes <= maxResidentBytes) return Buffer.allocUnsafe(bytes);
  const found = `it needs more than ${maxResidentBytes} bytes of memory`;
  throw new HuiyuanError("image_too_large", `Cannot process: ${found}`);
}

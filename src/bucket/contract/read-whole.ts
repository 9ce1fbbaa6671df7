// Reads an object from its first byte to its last, so that every block is checked or a digest can be made.
import type { ObjectReader } from "./driver.ts";

const READ_BYTES = 262_144;

/** Passes each chunk to `take`, in order. Throws as the reader does. Does not close the reader. */
export async function readWhole(
  reader: ObjectReader,
  size: number,
  take: (chunk: Buffer) => void = () => {},
): Promise<void> {
  for (let start = 0; start < size; start += READ_BYTES) {
    take(await reader.read(start, Math.min(start + READ_BYTES, size) - 1));
  }
}

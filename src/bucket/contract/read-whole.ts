// Reading an object from its first byte to its last, for those who want every block checked or a digest made.
import type { ObjectReader } from "./driver.ts";

const READ_BYTES = 262_144;

/** Hands each piece to `take`, in order. Throws what the reader throws; does not close it. */
export async function readWhole(
  reader: ObjectReader,
  size: number,
  take: (piece: Buffer) => void = () => {},
): Promise<void> {
  for (let start = 0; start < size; start += READ_BYTES) {
    take(await reader.read(start, Math.min(start + READ_BYTES, size) - 1));
  }
}

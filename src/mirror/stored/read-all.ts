// All bytes of an open object in one piece.
import { bodyRoom } from "../../body/body-room.ts";
import type { ObjectReader } from "../../bucket/contract/driver.ts";

// As much as a reader gives at once.
const MAX_READ_BYTES = 1_048_576;

/** Throws as the reader does. `into`: as in ObjectReader.read, for an object of one read. */
export async function readAll(reader: ObjectReader, size: number, into?: Buffer): Promise<Buffer> {
  if (into !== undefined) return reader.read(0, size - 1, into);
  if (size > 0 && size <= MAX_READ_BYTES) return reader.read(0, size - 1);
  const whole = bodyRoom(size);
  for (let start = 0; start < size; start += MAX_READ_BYTES) {
    const place = whole.subarray(start, start + MAX_READ_BYTES);
    const piece = await reader.read(start, start + place.length - 1, place);
    // Not every reader fills the place that it is given.
    if (piece.buffer !== whole.buffer) piece.copy(place);
  }
  return whole;
}

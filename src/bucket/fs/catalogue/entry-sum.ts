// The checksum that ties an entry to its blob. SQLite has none of its own: one wrong bit in a key or a blob number would
// give an image to a key that it does not belong to.
import { crc32 } from "node:zlib";

/** CRC-32 of bucket number, key and the blob's SHA-256 (lower-case hex). */
export function entrySum(bucket: number, key: string, sha256: string): number {
  return crc32(`${bucket}\n${key}\n${sha256}`);
}

// The body of a tombstone. Stores derive an object's version from its bytes, so every tombstone has random bytes: a put
// that is carried out late then never matches a newer tombstone. No image is 16 bytes long, so listings can skip that
// size.
import { createHash, randomBytes } from "node:crypto";
import type { ByteSource } from "./remote.ts";

const BYTES = 16;

/** All attempts of one request send the same bytes. */
export function tombstoneBody(): ByteSource {
  // 96 bits as text, so that the object is readable in other tools.
  const bytes = Buffer.from(randomBytes(12).toString("base64url"));
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  return { size: BYTES, hashes: { sha256, sha1: undefined, md5: undefined }, read: async () => bytes };
}

/** False for the size of a tombstone, and for empty objects: old tombstones and the folders of S3 consoles. */
export function mayBeObject(size: number): boolean {
  return size > 0 && size !== BYTES;
}

// Bodies and descriptions for tests of buckets: real bytes and hashes without a spool.
import { createHash, randomFillSync } from "node:crypto";
import { crc32 } from "node:zlib";
import { type ObjectInfo, type Provenance, toKey } from "../../src/core/object.ts";
import { BLOCK_BYTES, type WholeBody } from "../../src/serve/body/spool/spool.ts";
import { describeObject } from "../../src/serve/bucket/contract/bucket.ts";
import type { ObjectReader } from "../../src/serve/bucket/contract/driver.ts";

/** The body that a spool would return for these bytes. */
export function wholeBody(bytes: Buffer): WholeBody {
  const hash = (name: string) => createHash(name).update(bytes).digest("hex");
  const blocks = Math.ceil(bytes.length / BLOCK_BYTES);
  const blockSums = Buffer.alloc(blocks * 4);
  for (let block = 0; block < blocks; block += 1) {
    const sum = crc32(bytes.subarray(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES));
    blockSums.writeUInt32BE(sum, block * 4);
  }
  return {
    size: bytes.length,
    hashes: { sha256: hash("sha256"), sha1: hash("sha1"), md5: hash("md5") },
    blockSums,
    content: { kind: "buffer", buffer: bytes },
  };
}

/** The same body, in a file as a spool would write it. */
export function wholeBodyInFile(bytes: Buffer, path: string): WholeBody {
  return { ...wholeBody(bytes), content: { kind: "file", path } };
}

export function randomBytes(size: number): Buffer {
  return randomFillSync(Buffer.alloc(size));
}

/** A description as the mirror makes it. `at`: Unix milliseconds. */
export function infoOf(key: string, body: WholeBody, via: Provenance["via"] = "mirror", at = 1_000): ObjectInfo {
  return describeObject({
    key: toKey(key),
    body,
    image: { format: "jpeg", width: 640, height: undefined },
    headers: { "content-language": "zh" },
    provenance: {
      via,
      originUrl: via === "upload" ? undefined : "http://origin.example/a.jpg",
      originEtag: '"origin"',
      originLastModified: undefined,
      fetchedAt: at,
      validated: via === "mirror" ? { at, life: { cacheControl: "max-age=60", age: "5" } } : undefined,
    },
    now: at,
  });
}

/** Reads every byte of an open object, in the largest steps that a reader allows; closes it. */
export async function readAll(reader: ObjectReader | undefined, size: number): Promise<Buffer> {
  if (reader === undefined) throw new Error("the object could not be opened");
  try {
    const parts: Buffer[] = [];
    for (let start = 0; start < size; start += 1_048_576) {
      parts.push(await reader.read(start, Math.min(start + 1_048_576, size) - 1));
    }
    return Buffer.concat(parts);
  } finally {
    reader.close();
  }
}

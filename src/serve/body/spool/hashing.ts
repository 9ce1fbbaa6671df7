// Computes the hashes and block checksums of a body: from memory at once, from a stream step by step, or from a
// finished file. Compares stored blocks with their checksums.
import { createHash, hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { crc32 as portableCrc32 } from "node:zlib";
import { HuiyuanError } from "../../../core/errors.ts";
import type { DigestName, Hashes } from "../../../core/object.ts";
import { BLOCK_BYTES, type WholeBody } from "./spool.ts";

/** The hashes and checksums that identify a body. */
export type BodyDigest = Pick<WholeBody, "hashes" | "blockSums">;

/** Hashes a body in chunks of any size, in order. */
export interface BodyHasher {
  update(piece: Buffer): void;
  /** Once, after the last piece. */
  digest(): BodyDigest;
}

/** The optional digests; SHA-256 is always computed. */
export const ALL_DIGESTS: ReadonlySet<DigestName> = new Set(["sha1", "md5"]);

const FILE_PIECE_BYTES = 262_144;

/** `digests`: computed in addition to SHA-256. */
export function createBodyHasher(digests: ReadonlySet<DigestName> = ALL_DIGESTS): BodyHasher {
  const sha256 = createHash("sha256");
  const sha1 = digests.has("sha1") ? createHash("sha1") : undefined;
  const md5 = digests.has("md5") ? createHash("md5") : undefined;
  const sums = createBlockSums();
  return {
    update(piece) {
      sha256.update(piece);
      sha1?.update(piece);
      md5?.update(piece);
      sums.update(piece);
    },
    digest: () => ({
      hashes: { sha256: sha256.digest("hex"), sha1: sha1?.digest("hex"), md5: md5?.digest("hex") },
      blockSums: sums.digest(),
    }),
  };
}

/** Hashes bytes that are complete; cheaper than a hasher for small bodies. */
export function digestBytes(bytes: Buffer, digests: ReadonlySet<DigestName> = ALL_DIGESTS): BodyDigest {
  const hashes: Hashes = {
    sha256: hash("sha256", bytes),
    sha1: digests.has("sha1") ? hash("sha1", bytes) : undefined,
    md5: digests.has("md5") ? hash("md5", bytes) : undefined,
  };
  const sums = createBlockSums();
  sums.update(bytes);
  return { hashes, blockSums: sums.digest() };
}

/** Reads a file once and describes it as a body. Throws store_failed. */
export async function hashFile(path: string): Promise<WholeBody> {
  try {
    const hasher = createBodyHasher();
    let size = 0;
    for await (const piece of createReadStream(path, { highWaterMark: FILE_PIECE_BYTES })) {
      hasher.update(piece);
      size += piece.byteLength;
    }
    return { size, ...hasher.digest(), content: { kind: "file", path } };
  } catch (error) {
    const found = error instanceof Error ? error.message : String(error);
    throw new HuiyuanError("store_failed", `Cannot hash "${path}": ${found}`, { cause: error });
  }
}

/**
 * The number of the first block that differs from its checksum, or has none; undefined if all are right. `bytes`: whole
 * blocks, beginning with number `first`.
 */
export function firstBadBlock(bytes: Buffer, blockSums: Buffer, first: number): number | undefined {
  for (let at = 0, block = first; at < bytes.length; at += BLOCK_BYTES, block += 1) {
    const isKnown = blockSums.length >= (block + 1) * 4;
    if (!isKnown || crc32(bytes.subarray(at, at + BLOCK_BYTES)) !== blockSums.readUInt32BE(block * 4)) return block;
  }
  return undefined;
}

/** Computes the CRC-32 of each block in order, in the form of WholeBody.blockSums. */
function createBlockSums(): { update(piece: Buffer): void; digest(): Buffer } {
  const sums: number[] = [];
  let sum = 0;
  let filled = 0;
  return {
    update(piece) {
      for (let at = 0; at < piece.byteLength; ) {
        const part = piece.subarray(at, at + BLOCK_BYTES - filled);
        sum = crc32(part, sum);
        at += part.byteLength;
        filled += part.byteLength;
        if (filled === BLOCK_BYTES) {
          sums.push(sum);
          sum = 0;
          filled = 0;
        }
      }
    },
    digest() {
      if (filled > 0) sums.push(sum);
      const bytes = Buffer.alloc(sums.length * 4);
      for (const [index, value] of sums.entries()) bytes.writeUInt32BE(value, index * 4);
      return bytes;
    },
  };
}

/** `sum`: the CRC of the preceding bytes; it requires at least one byte here. Default: no preceding bytes. */
type Crc32 = (bytes: Buffer, sum?: number) => number;

// The result is zlib's, by carry-less multiplication in a third of the time.
// The import fails if the package is not installed or has no binary for this platform.
const native = await import("@node-rs/crc32").catch(() => undefined);

export const crc32: Crc32 = native?.crc32 ?? portableCrc32;

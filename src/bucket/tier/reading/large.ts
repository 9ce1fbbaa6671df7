// Reads objects that are too large for a copy on this disk, with one range request per read. A reader from the first
// byte to the last hashes the bytes as they pass. Any other read is compared with block sums of bytes whose hash was
// right.
import { LRUCache } from "lru-cache";
import { createSemaphore } from "../../../async/semaphore.ts";
import { type BodyHasher, createBodyHasher, firstBadBlock } from "../../../body/spool/hashing.ts";
import { BLOCK_BYTES, type WholeBody } from "../../../body/spool/spool.ts";
import { asHuiyuanError, HuiyuanError } from "../../../core/errors.ts";
import type { ObjectInfo } from "../../../core/object.ts";
import type { ObjectReader } from "../../contract/driver.ts";
import { withReadDeadline } from "../../remote/read-deadline.ts";
import type { RemoteBucket } from "../../remote/remote.ts";

export interface LargeObjects {
  open(info: ObjectInfo, version: string): ObjectReader;
  /** Remembers the block sums of a body that has just been put. */
  rememberSums(body: Pick<WholeBody, "hashes" | "blockSums">): void;
}

export interface LargeObjectsOptions {
  readonly remote: Pick<RemoteBucket, "get" | "getRange">;
  /** Called if the bytes do not match the description. */
  readonly onDamaged: (info: ObjectInfo, version: string) => void;
}

/** Bound of the remembered sums, least recently used first. 4 bytes per 64 KiB, so it covers objects of 128 GiB. */
const MAX_SUM_BYTES = 8_388_608;
/** Objects that are read completely at the same time, and further ones that wait for that. */
const MAX_READS = 4;
const MAX_WAITING = 100;
const NO_DIGESTS = new Set<never>();

export function createLargeObjects({ remote, onDamaged }: LargeObjectsOptions): LargeObjects {
  /** By SHA-256, which identifies the bytes under any key. */
  const knownSums = new LRUCache<string, Buffer>({
    maxSize: MAX_SUM_BYTES,
    sizeCalculation: ({ byteLength }) => byteLength,
  });
  const verifying = new Map<string, Promise<Buffer>>();
  const inTurn = createSemaphore(MAX_READS, {
    maxWaiting: MAX_WAITING,
    overloaded: () => new HuiyuanError("overloaded", "Cannot read: too many objects wait to be verified"),
  });

  function corrupt(info: ObjectInfo, version: string): HuiyuanError {
    onDamaged(info, version);
    return new HuiyuanError("store_corrupt", `Cannot read "${info.key}": S3 sends other bytes than were stored`);
  }

  /** Compares the hash of all bytes and remembers their sums. Throws store_corrupt. */
  function finishHash(info: ObjectInfo, version: string, hasher: BodyHasher): Buffer {
    const { hashes, blockSums } = hasher.digest();
    if (hashes.sha256 !== info.hashes.sha256) throw corrupt(info, version);
    knownSums.set(hashes.sha256, blockSums);
    return blockSums;
  }

  /** Reads the whole object once and keeps only the sums. */
  async function readThrough(info: ObjectInfo, version: string): Promise<Buffer> {
    try {
      const body = await remote.get(info.key, version);
      if (body === undefined) throw changed(info);
      const hasher = createBodyHasher(NO_DIGESTS);
      let bytes = 0;
      for await (const chunk of body) {
        bytes += chunk.length;
        // The body may have no end.
        if (bytes > info.size) throw corrupt(info, version);
        hasher.update(chunk);
      }
      return finishHash(info, version, hasher);
    } catch (error) {
      if (error instanceof HuiyuanError) throw error;
      throw unreadable(info, asHuiyuanError(error).message, error);
    }
  }

  function verify(info: ObjectInfo, version: string): Promise<Buffer> {
    const sums = knownSums.get(info.hashes.sha256);
    if (sums !== undefined) return Promise.resolve(sums);
    const id = `${info.key}\n${version}\n${info.hashes.sha256}`;
    const begun = verifying.get(id) ?? inTurn.run(() => readThrough(info, version)).finally(() => verifying.delete(id));
    verifying.set(id, begun);
    return withReadDeadline(info.key, begun);
  }

  async function getRange(info: ObjectInfo, version: string, start: number, end: number): Promise<Buffer> {
    const bytes = await remote.getRange(info.key, version, { start, end });
    if (bytes === undefined) throw changed(info);
    return bytes;
  }

  return {
    rememberSums: ({ hashes, blockSums }) => knownSums.set(hashes.sha256, blockSums),
    open(info, version) {
      const { sha256 } = info.hashes;
      let hasher: BodyHasher | undefined;
      let hashed = 0;
      return {
        async read(start, end) {
          if (start !== hashed || (hasher === undefined && knownSums.get(sha256) !== undefined)) {
            const sums = await verify(info, version);
            const from = start - (start % BLOCK_BYTES);
            const to = Math.min(info.size, end + BLOCK_BYTES - (end % BLOCK_BYTES)) - 1;
            const bytes = await getRange(info, version, from, to);
            if (firstBadBlock(bytes, sums, from / BLOCK_BYTES) !== undefined) throw corrupt(info, version);
            return bytes.subarray(start - from, end + 1 - from);
          }
          const bytes = await getRange(info, version, start, end);
          hasher ??= createBodyHasher(NO_DIGESTS);
          hasher.update(bytes);
          hashed += bytes.length;
          if (hashed === info.size) finishHash(info, version, hasher);
          return bytes;
        },
        proven: () => verify(info, version).then(() => undefined),
        close() {},
      };
    },
  };
}

/** A reader learns of a change only at a read, because a remote object is not held open as a file is. */
function changed({ key }: ObjectInfo): HuiyuanError {
  const message = `Cannot read "${key}": it was replaced or deleted during the read`;
  return new HuiyuanError("original_replaced", message, { retryAfterSeconds: 1 });
}

function unreadable(info: ObjectInfo, found: string, cause?: unknown): HuiyuanError {
  return new HuiyuanError("store_failed", `Cannot read "${info.key}" from the store: ${found}`, { cause });
}

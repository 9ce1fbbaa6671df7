// The whole of what was looked up in a bucket, perhaps a while ago: from memory, or read once more.
import type { Bucket } from "../../bucket/contract/bucket.ts";
import type { ObjectReader } from "../../bucket/contract/driver.ts";
import { HuiyuanError } from "../../core/errors.ts";
import type { ObjectInfo } from "../../core/object.ts";
import type { HeldBytes, ImageBytes } from "../variants/image-bytes.ts";
import type { MemoryCache } from "./memory-cache.ts";
import { readAll } from "./read-all.ts";

export interface StoredBytes {
  /**
   * The whole of an object that was looked up, perhaps a while ago. Throws original_replaced where its bytes are not to be had any
   * more, store_corrupt where they are damaged, store_failed.
   */
  load(info: ObjectInfo): Promise<Buffer>;
  /** The whole of such an object for later, with `bring` where the bucket lies far away. */
  bytesOf(info: ObjectInfo): ImageBytes;
}

export function createStoredBytes(bucketId: string, bucket: Bucket, memoryCache: MemoryCache): StoredBytes {
  function inMemory({ key, hashes }: ObjectInfo): Buffer | undefined {
    const object = memoryCache.get(bucketId, key);
    return object?.info.hashes.sha256 === hashes.sha256 ? object.body : undefined;
  }

  async function load(info: ObjectInfo): Promise<Buffer> {
    const body = inMemory(info);
    if (body !== undefined) return body;
    const generation = memoryCache.generation;
    const reader = await bucket.open(info, { mayBeReplaced: true });
    if (reader === undefined) throw replaced(info);
    try {
      return await readWhole(info, reader, generation);
    } finally {
      reader.close();
    }
  }

  async function bring(info: ObjectInfo): Promise<HeldBytes | undefined> {
    if (inMemory(info) !== undefined) return undefined;
    const generation = memoryCache.generation;
    const reader = await bucket.prefetch?.(info);
    return reader && { load: () => readWhole(info, reader, generation), release: () => reader.close() };
  }

  async function readWhole(info: ObjectInfo, reader: ObjectReader, generation: number): Promise<Buffer> {
    const body = await readAll(reader, info.size);
    // What has just been looked up and is not stale; an original of many variants is read again and again.
    const noted = memoryCache.noted(bucketId, info.key);
    const isCurrent = noted !== undefined && noted !== "absent" && noted.info.hashes.sha256 === info.hashes.sha256;
    if (isCurrent && memoryCache.wants(bucketId, info)) memoryCache.set(bucketId, { ...noted, body }, generation);
    return body;
  }

  return {
    load,
    bytesOf: (info) => ({ load: () => load(info), bring: bucket.prefetch && (() => bring(info)) }),
  };
}

function replaced({ key }: ObjectInfo): HuiyuanError {
  return new HuiyuanError("original_replaced", `Cannot read "${key}": it has changed`, { retryAfterSeconds: 1 });
}

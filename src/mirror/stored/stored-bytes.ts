// Reads the whole body of an object that was looked up, perhaps some time ago: from memory, or from the bucket. It
// makes no look-up of its own.
import { bodyRoom } from "../../body/body-room.ts";
import type { Bucket } from "../../bucket/contract/bucket.ts";
import type { ObjectReader } from "../../bucket/contract/driver.ts";
import { HuiyuanError } from "../../core/errors.ts";
import type { ObjectInfo } from "../../core/object.ts";
import type { HeldBytes, ImageBytes } from "../variants/image-bytes.ts";
import type { MemoryCache } from "./memory-cache.ts";

export function createStoredBytes(bucketId: string, bucket: Bucket, memoryCache: MemoryCache) {
  function inMemory({ key, hashes }: ObjectInfo): Buffer | undefined {
    const object = memoryCache.get(bucketId, key);
    return object?.info.hashes.sha256 === hashes.sha256 ? object.body : undefined;
  }

  /**
   * All bytes of an object that was looked up, perhaps some time ago. Throws original_replaced if its bytes are no
   * longer available, store_corrupt if they are damaged, store_failed.
   */
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

  async function download(info: ObjectInfo): Promise<HeldBytes | undefined> {
    if (inMemory(info) !== undefined) return undefined;
    const generation = memoryCache.generation;
    const reader = await bucket.open(info, { mayBeReplaced: true });
    // Without `proven` it is on this machine already, and `load` opens it again.
    if (reader?.proven === undefined) return void reader?.close();
    try {
      await reader.proven();
    } catch (error) {
      reader.close();
      throw error;
    }
    return { load: () => readWhole(info, reader, generation), release: () => reader.close() };
  }

  async function readWhole(info: ObjectInfo, reader: ObjectReader, generation: number): Promise<Buffer> {
    const body = await readAll(reader, info.size);
    // Only if the note confirms this version. An original with many variants is read many times.
    const noted = memoryCache.noted(bucketId, info.key);
    const isCurrent = noted !== undefined && noted !== "absent" && noted.info.hashes.sha256 === info.hashes.sha256;
    if (isCurrent && memoryCache.admits(bucketId, info)) memoryCache.set(bucketId, { ...noted, body }, generation);
    return body;
  }

  /** The bytes of such an object for later; with `download` if the bucket is remote. */
  function bytesOf(info: ObjectInfo): ImageBytes {
    return { load: () => load(info), download: bucket.isRemote ? () => download(info) : undefined };
  }

  return { load, bytesOf };
}

function replaced({ key }: ObjectInfo): HuiyuanError {
  return new HuiyuanError("original_replaced", `Cannot read "${key}": it has changed`, { retryAfterSeconds: 1 });
}

// The largest read of an ObjectReader.
const MAX_READ_BYTES = 1_048_576;

/** All bytes of an open object. Throws as ObjectReader.read; `into` as there, for an object that one read covers. */
export async function readAll(reader: ObjectReader, size: number, into?: Buffer): Promise<Buffer> {
  if (into !== undefined) return reader.read(0, size - 1, into);
  if (size > 0 && size <= MAX_READ_BYTES) return reader.read(0, size - 1);
  const whole = bodyRoom(size);
  for (let start = 0; start < size; start += MAX_READ_BYTES) {
    const target = whole.subarray(start, start + MAX_READ_BYTES);
    const chunk = await reader.read(start, start + target.length - 1, target);
    // A reader need not use the buffer that it is given.
    if (chunk.buffer !== whole.buffer) chunk.copy(target);
  }
  return whole;
}

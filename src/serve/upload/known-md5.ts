// The MD5 of stored images, for stat. Uploads are stored with theirs. That of a fetched image is computed from its
// bytes on request, a few images at a time, and cached.
import { LRUCache } from "lru-cache";
import { createSemaphore } from "../../async/semaphore.ts";
import { HuiyuanError } from "../../core/errors.ts";
import type { ObjectInfo } from "../../core/object.ts";
import type { Bucket } from "../bucket/contract/bucket.ts";
import { withReadDeadline } from "../bucket/remote/read-deadline.ts";

export interface KnownMd5 {
  /** Lower-case hex; undefined if the object is gone. Throws store_failed, store_corrupt, overloaded. */
  of(bucket: Pick<Bucket, "digest">, info: ObjectInfo): Promise<string | undefined>;
}

/** Cached digests, 100 bytes each. */
const MAX_REMEMBERED = 10_000;
/** Objects that are read at the same time, and further ones that wait. */
const MAX_READS = 4;
const MAX_WAITING = 1_000;

export function createKnownMd5(): KnownMd5 {
  const known = new LRUCache<string, string>({ max: MAX_REMEMBERED });
  const running = new Map<string, Promise<string | undefined>>();
  const inTurn = createSemaphore(MAX_READS, {
    maxWaiting: MAX_WAITING,
    overloaded: () => new HuiyuanError("overloaded", "Cannot compute an MD5: too many requests wait for one"),
  });

  async function make(bucket: Pick<Bucket, "digest">, info: ObjectInfo): Promise<string | undefined> {
    const release = await inTurn.acquire(undefined);
    try {
      const md5 = await bucket.digest(info, "md5");
      if (md5 !== undefined) known.set(info.hashes.sha256, md5);
      return md5;
    } finally {
      release();
    }
  }

  return {
    async of(bucket, info) {
      const { sha256, md5 } = info.hashes;
      const ready = md5 ?? known.get(sha256);
      if (ready !== undefined) return ready;
      const made = running.get(sha256) ?? make(bucket, info).finally(() => running.delete(sha256));
      running.set(sha256, made);
      return withReadDeadline(info.key, made);
    },
  };
}

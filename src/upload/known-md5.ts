// The MD5 of stored images, for stat. Uploads are stored with theirs. That of a fetched image is computed from its
// bytes on request, a few images at a time, and cached.

import { createSemaphore } from "../async/semaphore.ts";
import type { Bucket } from "../bucket/contract/bucket.ts";
import { withReadDeadline } from "../bucket/remote/read-deadline.ts";
import { HuiyuanError } from "../core/errors.ts";
import type { ObjectInfo } from "../core/object.ts";

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
  const known = new Map<string, string>();
  const running = new Map<string, Promise<string | undefined>>();
  const reads = createSemaphore(MAX_READS);

  async function make(bucket: Pick<Bucket, "digest">, info: ObjectInfo): Promise<string | undefined> {
    if (running.size >= MAX_READS + MAX_WAITING)
      throw new HuiyuanError("overloaded", "Cannot compute an MD5: too many requests wait for one");
    const release = await reads.acquire(undefined);
    try {
      const md5 = await bucket.digest(info, "md5");
      if (md5 !== undefined) remember(info.hashes.sha256, md5);
      return md5;
    } finally {
      release();
    }
  }

  function remember(sha256: string, md5: string): void {
    known.set(sha256, md5);
    const [oldest] = known.keys();
    if (known.size > MAX_REMEMBERED && oldest !== undefined) known.delete(oldest);
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

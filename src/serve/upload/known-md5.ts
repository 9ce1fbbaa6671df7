// The MD5 of stored images, for stat. Uploads are stored with theirs. That of a fetched image is computed from its
// bytes on request, a few images at a time, and cached.
import { LRUCache } from "lru-cache";
import { createSemaphore } from "../../async/semaphore.ts";
import { HuiyuanError } from "../../core/errors.ts";
import type { ObjectInfo } from "../../core/object.ts";
import type { Bucket } from "../bucket/contract/bucket.ts";
import { withReadDeadline } from "../bucket/remote/read-deadline.ts";

interface Source {
  readonly bucket: Pick<Bucket, "digest">;
  readonly info: ObjectInfo;
}

export interface KnownMd5 {
  /** Lower-case hex; undefined if the object is gone. Throws store_failed, store_corrupt, overloaded. */
  of(bucket: Source["bucket"], info: ObjectInfo): Promise<string | undefined>;
}

/** Cached digests, 100 bytes each. */
const MAX_REMEMBERED = 10_000;
/** Objects that are read at the same time, and further ones that wait. */
const MAX_READS = 4;
const MAX_WAITING = 1_000;

export function createKnownMd5(): KnownMd5 {
  const inTurn = createSemaphore(MAX_READS, {
    maxWaiting: MAX_WAITING,
    overloaded: () => new HuiyuanError("overloaded", "Cannot compute an MD5: too many requests wait for one"),
  });

  /** By SHA-256. Callers share a digest that is being computed. */
  const known = new LRUCache<string, string, Source>({
    max: MAX_REMEMBERED,
    ignoreFetchAbort: true,
    async fetchMethod(_sha256, _known, { context: { bucket, info } }) {
      const release = await inTurn.acquire(undefined);
      return bucket.digest(info, "md5").finally(release);
    },
  });

  return {
    of: async (bucket, info) =>
      info.hashes.md5 ?? withReadDeadline(info.key, known.fetch(info.hashes.sha256, { context: { bucket, info } })),
  };
}

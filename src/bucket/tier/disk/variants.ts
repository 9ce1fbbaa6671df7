// Where the variants of images lie: buckets of the embedded store under names of their own, which no listing of originals
// shows and no key of theirs reaches, on the bounded part of the disk. Each can be made again, so each may go.
import type { WholeBody } from "../../../body/spool/spool.ts";
import type { Key, ObjectInfo } from "../../../core/object.ts";
import type { BucketDriver, Entry, PutCondition } from "../../contract/driver.ts";
import type { FsStore } from "../../fs/store.ts";
import { type DiskCache, VARIANT_FOLDER } from "./disk-cache.ts";

/** The variants of one bucket's images. */
export interface VariantBucket {
  /** For a bucket of its own. */
  readonly driver: BucketDriver;
  /** Lets go of every variant whose key begins so; their keys, as they go. */
  forget(prefix: string): AsyncGenerator<Key, void, undefined>;
}

export interface VariantTierOptions {
  readonly embedded: Pick<FsStore, "bucket" | "forget">;
  readonly disk: DiskCache;
}

const PAGE = 1_000;
/** Variants have no epochs: those of their originals count (mirror/variant-versions.ts). */
const ABSENT: Entry = { state: "absent", epoch: 0 };

/** The same variants for the same bucket id. */
export function createVariantTier({ embedded, disk }: VariantTierOptions): (bucketId: string) => VariantBucket {
  const { index } = disk;
  return (bucketId) => {
    const id = VARIANT_FOLDER + bucketId;
    const driver = embedded.bucket(id);

    async function put(info: ObjectInfo, body: WholeBody, condition: PutCondition) {
      // What would push out more than a quarter of the others is made again each time.
      if (body.size > disk.maxBytes / 4) return "outdated";
      const result = await driver.put(info, body, condition);
      if (result === "stored") {
        const { key, size, hashes } = info;
        // No remote store has variants.
        index.add({ bucketId: id, key, size, sha256: hashes.sha256, checkedAt: Number.NEGATIVE_INFINITY });
        disk.noteGrowth();
      }
      return result;
    }

    return {
      driver: {
        ...driver,
        put,
        async lookup(key) {
          // Mostly it is asked for what is about to be made, and the order knows all that is there.
          if (disk.isCounted && !index.has(id, key)) return ABSENT;
          const entry = await driver.lookup(key);
          if (entry.state === "object") index.use(id, key);
          return entry;
        },
      },
      async *forget(prefix) {
        let after: Key | undefined;
        do {
          const { objects, next } = await driver.list({ prefix, after, limit: PAGE });
          after = next;
          // Together, so that the writer commits them together.
          await Promise.all(
            objects.map(({ key, hashes }) => {
              index.drop(id, key);
              return embedded.forget(id, key, hashes.sha256);
            }),
          );
          for (const { key } of objects) yield key;
        } while (after !== undefined);
      },
    };
  };
}

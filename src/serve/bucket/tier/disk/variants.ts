// Stores variants of images in separate buckets of the embedded store, within the disk cache. No listing or key of
// originals reaches them. Each variant can be rendered again, so each may be removed.

import type { Key, ObjectInfo } from "../../../../core/object.ts";
import type { WholeBody } from "../../../body/spool/spool.ts";
import type { BucketDriver, Entry, PutCondition } from "../../contract/driver.ts";
import { copyOf, VARIANT_FOLDER } from "./disk-cache.ts";
import type { EdgeOptions } from "./edge.ts";

/** The variants of one bucket's images. */
export interface VariantBucket {
  /** The driver of the variants' own bucket. */
  readonly driver: BucketDriver;
  /** Removes every variant whose key begins with `prefix`, and yields the removed keys. */
  forget(prefix: string): AsyncGenerator<Key, void, undefined>;
}

export type VariantTierOptions = Pick<EdgeOptions, "embedded" | "disk">;

const PAGE = 1_000;
/** Variants have no epochs: a variant belongs to the bytes of its original. */
const ABSENT: Entry = { state: "absent", epoch: 0 };

/** The returned function opens the variants of a bucket id. */
export function createVariantTier({ embedded, disk }: VariantTierOptions): (bucketId: string) => VariantBucket {
  return (bucketId) => {
    const id = VARIANT_FOLDER + bucketId;
    const driver = embedded.bucket(id);

    async function put(info: ObjectInfo, body: WholeBody, condition: PutCondition) {
      if (body.size > disk.maxCopyBytes) return "outdated";
      const result = await driver.put(info, body, condition);
      // Variants are in no remote store, so they are never compared.
      if (result === "stored") disk.add(copyOf(id, info));
      return result;
    }

    return {
      driver: {
        ...driver,
        put,
        async lookup(key) {
          // Most lookups are for variants that are not rendered yet. A complete index answers those without a read.
          if (disk.isCounted && !disk.has(id, key)) return ABSENT;
          const entry = await driver.lookup(key);
          if (entry.state === "object") disk.use(id, key);
          return entry;
        },
      },
      async *forget(prefix) {
        let after: Key | undefined;
        do {
          const { objects, next } = await driver.list({ prefix, after, limit: PAGE });
          after = next;
          // In parallel, so that the writer commits them together.
          await Promise.all(
            objects.map(({ key, hashes }) => {
              // No lock holds the key: the variant may be stored again meanwhile, and must stay in the index then.
              disk.drop(id, key);
              return driver.forget(key, hashes.sha256);
            }),
          );
          for (const { key } of objects) yield key;
        } while (after !== undefined);
      },
    };
  };
}

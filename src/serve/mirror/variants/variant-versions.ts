// Versions of originals that were removed while a variant of them was being made. Such a variant is never stored, so a
// deleted image leaves none behind.

import type { Key, ObjectInfo } from "../../../core/object.ts";
import type { WholeBody } from "../../body/spool/spool.ts";
import type { BucketDriver, PutCondition, PutResult } from "../../bucket/contract/driver.ts";
import type { VariantBucket } from "../../bucket/tier/disk/variants.ts";

/** Once a version is forgotten, variants in progress are refused and later ones are accepted. */
const MAX_VERSIONS = 10_000;

export function createVersions() {
  const epochs = new Map<string, number>();
  let latest = 0;
  const current = (key: Key) => epochs.get(key.slice(0, key.indexOf("/"))) ?? 0;

  /** False: the version was removed after this epoch. */
  const isCurrent = (key: Key, epoch: number | undefined) => epoch === undefined || epoch === current(key);

  async function put(
    { driver, forget }: VariantBucket,
    [info, body, condition]: readonly [ObjectInfo, WholeBody, PutCondition],
  ): Promise<PutResult> {
    const epoch = condition.when === "absent" ? condition.epoch : undefined;
    if (!isCurrent(info.key, epoch)) return "outdated";
    const result = await driver.put(info, body, { when: "absent" });
    if (isCurrent(info.key, epoch)) return result;
    // The version was removed during the write, so its other variants were removed without this one.
    for await (const _ of forget(info.key));
    return "outdated";
  }

  return {
    /** Call it before a version is looked up, and pass the result to epochOf(). */
    generation: () => latest,
    /**
     * The epoch for the fetch of a variant whose original was looked up after this generation. If that version was
     * removed since, its epoch is higher, and the variant is not stored.
     */
    epochOf: (key: Key, generation: number) => Math.min(current(key), generation),
    /** Records that the version was removed. `sha256`: lower-case hex. */
    raise(sha256: string): void {
      latest += 1;
      epochs.delete(sha256);
      epochs.set(sha256, latest);
      const [oldest] = epochs.keys();
      if (epochs.size > MAX_VERSIONS && oldest !== undefined) epochs.delete(oldest);
    },
    isCurrent,
    /** The driver of the variants; it refuses a variant that was begun at an earlier epoch (`outdated`). */
    guard: (store: VariantBucket): BucketDriver => ({ ...store.driver, put: (...parts) => put(store, parts) }),
  };
}

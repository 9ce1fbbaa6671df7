// Which versions of originals have gone while a variant of theirs was being made: what was begun before is never stored after,
// so that nothing of an image stays behind that was deleted meanwhile.
import type { WholeBody } from "../../body/spool/spool.ts";
import type { BucketDriver, PutCondition, PutResult } from "../../bucket/contract/driver.ts";
import type { Key, ObjectInfo } from "../../core/object.ts";

/** A bucket of variants alone. */
export interface VariantStore {
  readonly driver: BucketDriver;
  /** Removes all whose keys begin so, and says which they were. */
  forget(prefix: string): AsyncGenerator<Key, void, undefined>;
}

export interface Versions {
  /** Taken before a version is looked up, and handed to epochOf(). */
  moment(): number;
  /**
   * Of the version that a variant's key begins with and that was looked up since that moment; to be given to the fetch of that
   * variant. Where the version has gone meanwhile nothing that is made of it is stored.
   */
  epochOf(key: Key, since: number): number;
  /** The version has gone. `sha256`: lower-case hex. */
  raise(sha256: string): void;
  /**
   * The driver of the variants, which refuses what was begun at an earlier epoch: `outdated`. `failed`: told of what the disk did
   * not take.
   */
  guard(store: VariantStore, failed: (info: ObjectInfo, body: WholeBody) => void): BucketDriver;
}

/** Of one that is forgotten, what is being made is refused, and all that comes later is taken. */
const MAX_VERSIONS = 10_000;

export function createVersions(): Versions {
  const epochs = new Map<string, number>();
  let latest = 0;
  const current = (key: Key) => epochs.get(key.slice(0, key.indexOf("/"))) ?? 0;

  function isCurrent(key: Key, condition: PutCondition): boolean {
    return condition.when !== "absent" || condition.epoch === undefined || condition.epoch === current(key);
  }

  async function put(
    { driver, forget, failed }: VariantStore & { readonly failed: Parameters<Versions["guard"]>[1] },
    [info, body, condition]: readonly [ObjectInfo, WholeBody, PutCondition],
  ): Promise<PutResult> {
    if (!isCurrent(info.key, condition)) return "outdated";
    const result = await driver.put(info, body, { when: "absent" }).catch((error: unknown) => {
      if (isCurrent(info.key, condition)) failed(info, body);
      throw error;
    });
    if (isCurrent(info.key, condition)) return result;
    // It has gone while this was written, and was not seen by whoever removed the others.
    for await (const _ of forget(info.key));
    return "outdated";
  }

  return {
    moment: () => latest,
    // One that rose after that moment is no longer the one that was looked up.
    epochOf: (key, since) => Math.min(current(key), since),
    raise(sha256) {
      latest += 1;
      epochs.delete(sha256);
      epochs.set(sha256, latest);
      const [oldest] = epochs.keys();
      if (epochs.size > MAX_VERSIONS && oldest !== undefined) epochs.delete(oldest);
    },
    guard: (store, failed) => ({ ...store.driver, put: (...parts) => put({ ...store, failed }, parts) }),
  };
}

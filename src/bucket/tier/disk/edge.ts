// The copies of one bucket that lie on this disk: the embedded store's rows under a name of their own, with the order of their
// uses. Its rows also hold the bucket's epochs and tombstones, which outlive the copies.
import type { WholeBody } from "../../../body/spool/spool.ts";
import type { Log } from "../../../core/log.ts";
import { etagOf, type Key, type ObjectInfo } from "../../../core/object.ts";
import type { BucketDriver, PutCondition } from "../../contract/driver.ts";
import type { LruIndex } from "./lru-index.ts";

/** Copies never fail what they accompany: a disk that cannot take one has none. Only epochs must be written. */
export interface Edge {
  readonly driver: BucketDriver;
  /** Larger objects have no copy. Bytes. */
  maxCopyBytes(): number;
  /** Whether the copy was compared with the remote store lately; counts as a use. */
  isTrusted(key: Key): boolean;
  trust(key: Key): void;
  /** Throws what the disk throws. */
  put(info: ObjectInfo, body: WholeBody, condition: PutCondition): Promise<void>;
  /** After a change of the remote store: this is there now. Throws store_failed where the epoch cannot be raised. */
  replace(info: ObjectInfo, body: WholeBody, options: { readonly raisesEpoch: boolean }): Promise<void>;
  /** The same for a copy; there is one on this disk only if there is one of `from`. */
  copy(from: Key, to: ObjectInfo, options: { readonly raisesEpoch: boolean }): Promise<void>;
  forget(info: ObjectInfo): Promise<void>;
  /** The row has no copy any more. */
  dropFromIndex(key: Key): void;
}

export interface EdgeOptions {
  readonly bucketId: string;
  readonly driver: BucketDriver;
  readonly index: LruIndex;
  readonly forgetRow: (key: Key, sha256: string) => Promise<boolean>;
  readonly maxCopyBytes: () => number;
  /** Copies have been added. */
  readonly noteGrowth: () => void;
  readonly log: Log;
  /** As performance.now(). */
  readonly ticks: () => number;
}

/** For so long a copy is served without asking the remote store, milliseconds; after that it is compared behind an answer. */
const TRUSTED_MS = 60_000;

export function createEdge(options: EdgeOptions): Edge {
  const { bucketId, driver, index, forgetRow, maxCopyBytes, noteGrowth, log, ticks } = options;

  function noteAdded({ key, size, hashes }: ObjectInfo): void {
    index.add({ bucketId, key, size, sha256: hashes.sha256, checkedAt: ticks() });
    noteGrowth();
  }

  /** No copy and no tombstone; the epoch stands. */
  async function clearRow(key: Key): Promise<void> {
    const entry = await driver.lookup(key);
    if (entry.state === "object") await forgetRow(key, entry.info.hashes.sha256);
    else if (entry.state === "tombstone") await driver.undelete(key);
    index.drop(bucketId, key);
  }

  /** The epoch, come what may; then the copy, if the disk can. */
  async function replaceCopy(key: Key, raisesEpoch: boolean, store: () => Promise<void>): Promise<void> {
    await clearRow(key);
    if (raisesEpoch) await driver.purge(key, { hard: false });
    try {
      await store();
    } catch (error) {
      log.warn({ bucket: bucketId, key, err: error }, "no copy was kept on this disk");
    }
  }

  return {
    driver,
    maxCopyBytes,
    isTrusted(key) {
      const copy = index.use(bucketId, key);
      return copy !== undefined && ticks() - copy.checkedAt < TRUSTED_MS;
    },
    trust(key) {
      const copy = index.use(bucketId, key);
      if (copy !== undefined) copy.checkedAt = ticks();
    },
    async put(info, body, condition) {
      if (info.size > maxCopyBytes()) return;
      if ((await driver.put(info, body, condition)) === "stored") noteAdded(info);
    },
    replace: (info, body, { raisesEpoch }) =>
      replaceCopy(info.key, raisesEpoch, async () => {
        if (info.size > maxCopyBytes()) return;
        if ((await driver.put(info, body, { when: "absent" })) === "stored") noteAdded(info);
      }),
    async copy(from, to, { raisesEpoch }) {
      if (from === to.key) {
        // The bytes are the same, so the row may stay what it is but for its description.
        const entry = await driver.lookup(from);
        if (entry.state === "object" && entry.info.hashes.sha256 === to.hashes.sha256) {
          await driver.copy(from, to, raisesEpoch ? { when: "always" } : { when: "etag", etag: etagOf(to.hashes) });
          return;
        }
      }
      await replaceCopy(to.key, raisesEpoch, async () => {
        if ((await driver.copy(from, to, { when: "absent" })) === "stored") noteAdded(to);
      });
    },
    async forget({ key, hashes }) {
      index.drop(bucketId, key);
      await forgetRow(key, hashes.sha256);
    },
    dropFromIndex: (key) => index.drop(bucketId, key),
  };
}

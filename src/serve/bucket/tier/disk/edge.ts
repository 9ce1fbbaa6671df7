// The part of one bucket of a remote store that this disk has: rows of the embedded store in a bucket of their own. A
// row is a pending object, a copy, a tombstone, or only the epoch of its key. Copies are bounded by their order of use.

import type { Log } from "../../../../core/log.ts";
import type { Key, ObjectInfo } from "../../../../core/object.ts";
import type { WholeBody } from "../../../body/spool/spool.ts";
import type { Entry } from "../../contract/driver.ts";
import type { FsBucket } from "../../fs/bucket.ts";
import type { FsStore } from "../../fs/fs-store.ts";
import { copyOf, type DiskCache } from "./disk-cache.ts";

export interface Edge {
  readonly driver: FsBucket;
  /** When the copy was last compared with the remote store, as ticks. Counts as a use. */
  checkedAt(key: Key): number;
  /** The copy was compared with the remote store at this time. */
  trust(key: Key, at: number): void;
  /** The next use of the copy compares it with the remote store. */
  distrust(key: Key): void;
  /** Stores a copy if the key has no row. `at`: when its read began, as ticks. Throws the error of the disk. */
  put(info: ObjectInfo, body: WholeBody, at: number): Promise<void>;
  /**
   * The remote store has the pending object now: its row becomes a copy, unless that is too large. `at`: when the
   * request for it began, as ticks; default: the next use compares the copy.
   */
  confirm(info: ObjectInfo, at?: number): Promise<void>;
  /** Follows a put to the remote store that began then. Throws store_failed if the epoch cannot be raised. */
  replace(info: ObjectInfo, body: WholeBody, options: EpochOption & { readonly at: number }): Promise<void>;
  /** Removes the object or tombstone of a key whose remote object was replaced. Throws as replace(). */
  clear(key: Key, options: EpochOption): Promise<void>;
  /** Removes exactly this object, also if it is pending. */
  forget(info: ObjectInfo): Promise<void>;
  /** To be called after the row has lost its copy. */
  dropFromIndex(key: Key): void;
}

export interface EdgeOptions {
  readonly bucketId: string;
  readonly embedded: Pick<FsStore, "bucket">;
  readonly disk: DiskCache;
  readonly log: Log;
}

interface EpochOption {
  readonly raisesEpoch: boolean;
}

/** The object that waits for its upload, if the entry on this disk is one. */
export function pendingIn(entry: Entry): ObjectInfo | undefined {
  return entry.state === "object" && entry.certainty !== undefined ? entry.info : undefined;
}

/** A copy that cannot be stored fails no change; there is none then. Only the epochs must be written. */
export function createEdge({ bucketId, embedded, disk, log }: EdgeOptions): Edge {
  const driver = embedded.bucket(bucketId);
  const noteAdded = (info: ObjectInfo, at: number | undefined) => disk.add(copyOf(bucketId, info, at));

  function setCheckedAt(key: Key, at: number): void {
    const copy = disk.use(bucketId, key);
    if (copy !== undefined) copy.checkedAt = at;
  }

  async function put(info: ObjectInfo, body: WholeBody, at: number): Promise<void> {
    if (info.size > disk.maxCopyBytes) return;
    if ((await driver.put(info, body, { when: "absent" })) === "stored") noteAdded(info, at);
  }

  async function forget({ key, hashes }: ObjectInfo): Promise<void> {
    await driver.forget(key, hashes.sha256, true);
    disk.drop(bucketId, key);
  }

  async function clear(key: Key, { raisesEpoch }: EpochOption): Promise<void> {
    const entry = await driver.lookup(key);
    if (entry.state === "object") await forget(entry.info);
    else if (entry.state === "tombstone") await driver.undelete(key);
    if (raisesEpoch) await driver.purge(key, { hard: false });
  }

  return {
    driver,
    checkedAt: (key) => disk.use(bucketId, key)?.checkedAt ?? Number.NEGATIVE_INFINITY,
    trust: setCheckedAt,
    distrust: (key) => setCheckedAt(key, Number.NEGATIVE_INFINITY),
    put,
    async confirm(info, at) {
      if (info.size > disk.maxCopyBytes) await forget(info);
      else if (await driver.confirm(info.key, info.hashes.sha256)) noteAdded(info, at);
    },
    async replace(info, body, options) {
      await clear(info.key, options);
      await put(info, body, options.at).catch((error: unknown) =>
        log.warn({ bucket: bucketId, key: info.key, err: error }, "cannot store a copy on this disk"),
      );
    },
    clear,
    forget,
    dropFromIndex: (key) => disk.drop(bucketId, key),
  };
}

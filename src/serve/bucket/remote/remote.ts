// The contract of a remote store, which keeps objects beyond this machine; the tiered store (tier/) uses it. A remote
// store is shared with other programs and may be down. It knows no epochs, and each of its calls has its own deadline.
import type { Hashes, Key, ObjectInfo } from "../../../core/object.ts";
import type { ListOptions, Tombstone } from "../contract/driver.ts";

/**
 * The state of a key. `foreign`: another tool wrote the object, and only its size is known. `version` identifies
 * exactly these bytes in a condition.
 */
export type RemoteEntry =
  | { readonly state: "object"; readonly info: ObjectInfo; readonly isStale: boolean; readonly version: string }
  | ({ readonly state: "tombstone"; readonly version: string } & Tombstone)
  | { readonly state: "foreign"; readonly size: number; readonly modifiedAt: number; readonly version: string }
  | { readonly state: "absent" };

/** `absent`: only if neither an object nor a tombstone is there. `version`: only over exactly that version. */
export type RemoteCondition =
  | { readonly when: "absent" }
  | { readonly when: "version"; readonly version: string }
  | { readonly when: "always" };

/** The bytes to put; read once for each attempt. */
export interface ByteSource {
  readonly size: number;
  readonly hashes: Hashes;
  /** Both ends inclusive, at most 1 MiB. */
  read(start: number, end: number): Promise<Buffer>;
}

/** One row of a store's listing. `md5`: of the body, in lower-case hex; undefined if the store does not send it. */
export interface ListedObject {
  readonly name: string;
  readonly size: number;
  readonly md5: string | undefined;
}

/** One row of a bucket's listing. */
export type RemoteName = Omit<ListedObject, "name"> & { readonly key: Key };

/**
 * One bucket of a remote store. The caller holds the lock of the key within this process. Between processes the
 * conditions decide, if the store supports them. Throws store_failed and store_full.
 */
export interface RemoteBucket {
  /** Whether the store takes no name of this length; such a key is passed to no other method. */
  isTooLong(key: Key): boolean;
  head(key: Key): Promise<RemoteEntry>;
  /** The bytes as they arrive; undefined if the key is vacant or has another version. */
  get(key: Key, version: string | undefined): Promise<AsyncIterable<Buffer> | undefined>;
  /** False: the condition does not hold, and nothing has changed. */
  put(
    info: ObjectInfo,
    source: ByteSource,
    options: { readonly condition: RemoteCondition; readonly isStale: boolean },
  ): Promise<boolean>;
  /**
   * Replaces the version that the caller has just seen by a tombstone; if the store supports no conditions, whatever is
   * there. False: another version is there, and nothing has changed.
   */
  putTombstone(key: Key, tombstone: Tombstone, condition: RemoteCondition): Promise<boolean>;
  /**
   * Stores the bytes of `from` under another description, over whatever is there. False: `from` no longer has that
   * version.
   */
  copy(from: Key, version: string, to: ObjectInfo, options: { readonly isStale: boolean }): Promise<boolean>;
  /**
   * Removes this version of an object or tombstone; undefined: the caller has seen nothing there. Leaves a mark: an
   * expired tombstone with the date `at` (Unix milliseconds) as `deletedAt`. A store that obeys no conditions keeps no
   * mark. False: another version is there, and nothing has changed.
   */
  removeVersion(key: Key, version: string | undefined, at: number): Promise<boolean>;
  /**
   * Objects only, foreign ones included, by ascending UTF-8 bytes of the key. `signal` is checked between two requests;
   * throws client_gone once it aborts.
   */
  list(options: ListOptions): Promise<{ readonly names: readonly RemoteName[]; readonly isEnd: boolean }>;
}

/** The clocks of two servers of one remote store may differ by so much. Milliseconds. */
export const CLOCK_ALLOWANCE_MS = 5_000;

/** A remote store that holds many buckets. */
export interface RemoteStore {
  /** A short text that identifies this store, so that copies of one store are never used for another. */
  readonly id: string;
  /** For messages, such as `S3`. */
  readonly name: string;
  bucket(id: string): RemoteBucket;
  /** True while the store does not answer; requests then fail at once. */
  readonly isDown: boolean;
  /** Start of the current run of failures, as performance.now(); undefined while the store answers. */
  outageSince(): number | undefined;
  /** For the operator: this server's clock differs from the store's by more than CLOCK_ALLOWANCE_MS. */
  clockNote(): string | undefined;
  /** Called each time the store answers again after it was down. */
  onRecovery(listener: () => void): void;
  close(): Promise<void>;
}

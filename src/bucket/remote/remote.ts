// What the tiered store (tier/) asks of a place for objects beyond this machine. Such a place is shared and may be away;
// it knows no epochs, and no call of it waits for longer than its own deadline.
import type { Hashes, Key, ObjectInfo } from "../../core/object.ts";
import type { ListOptions, Tombstone } from "../contract/driver.ts";

/**
 * What lies under a key. `foreign`: put there by another tool, of which nothing but the size is known. `version` names
 * exactly these bytes for a condition.
 */
export type RemoteEntry =
  | { readonly state: "object"; readonly info: ObjectInfo; readonly isStale: boolean; readonly version: string }
  | ({ readonly state: "tombstone"; readonly version: string } & Tombstone)
  | { readonly state: "foreign"; readonly size: number; readonly modifiedAt: number; readonly version: string }
  | { readonly state: "absent" };

/** `absent`: only where nothing lies, tombstones included. `version`: only over exactly that one. */
export type RemoteCondition =
  | { readonly when: "absent" }
  | { readonly when: "version"; readonly version: string }
  | { readonly when: "always" };

/** The bytes to put; read once for each try. */
export interface ByteSource {
  readonly size: number;
  readonly hashes: Hashes;
  /** Both ends inclusive, at most 1 MiB. */
  read(start: number, end: number): Promise<Buffer>;
}

/** One name and what a listing tells of it. `md5` is the body's in lower-case hex, where the place tells it. */
export interface RemoteName {
  readonly key: Key;
  readonly size: number;
  readonly md5: string | undefined;
}

/**
 * One bucket of a remote store. Whoever calls holds the key alone within this process; against other processes the
 * conditions decide where the place knows them. Throws store_failed and store_full.
 */
export interface RemoteBucket {
  head(key: Key): Promise<RemoteEntry>;
  /** The bytes under the key, as they arrive; undefined when nothing or another version lies there. */
  get(key: Key, version: string | undefined): Promise<AsyncIterable<Buffer> | undefined>;
  /** Bytes `start` to `end`, both inclusive, at most 1 MiB and two blocks. Undefined as for `get`. */
  getRange(key: Key, version: string, range: { start: number; end: number }): Promise<Buffer | undefined>;
  /** False: the condition does not hold and nothing has changed. */
  put(
    info: ObjectInfo,
    source: ByteSource,
    options: { readonly condition: RemoteCondition; readonly isStale: boolean },
  ): Promise<boolean>;
  /**
   * Lays a tombstone over what the caller has just seen, or over whatever is there where the place knows no conditions. False: another
   * is there, and nothing has changed.
   */
  putTombstone(key: Key, tombstone: Tombstone, condition: RemoteCondition): Promise<boolean>;
  /** The bytes of `from`, if they still are that version, under another description and over whatever is there. */
  copy(from: Key, version: string, to: ObjectInfo, options: { readonly isStale: boolean }): Promise<boolean>;
  /**
   * What is there goes, and there is no tombstone that counts; one that has expired may stay. False: another version is there, and
   * nothing has changed.
   */
  removeVersion(key: Key, version: string): Promise<boolean>;
  /**
   * By ascending UTF-8 bytes of the key; nothing but objects, foreign ones included. Throws client_gone when `signal`
   * aborts, between two requests.
   */
  list(options: ListOptions): Promise<{ readonly names: readonly RemoteName[]; readonly isEnd: boolean }>;
}

/** A remote store that holds many buckets. */
export interface RemoteStore {
  /** Names this place, so that what is kept of one is never taken for another's: a short text. */
  readonly id: string;
  bucket(id: string): RemoteBucket;
  /** True while it is known not to answer: requests are refused at once. */
  readonly isDown: boolean;
  /** Since when it has not answered, as performance.now(); undefined while it does. */
  outageSince(): number | undefined;
  /** Called when it answers again. */
  onRecovery(listener: () => void): void;
  close(): Promise<void>;
}

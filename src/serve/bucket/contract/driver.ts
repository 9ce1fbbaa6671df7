// The contract of a storage backend: the interface that every driver implements. A driver may assume that bucket.ts has
// validated everything. In return, readers see the old object or the whole new one, and acknowledged changes are
// durable.

import type { Cancellation } from "../../../async/cancellation.ts";
import type { HuiyuanError } from "../../../core/errors.ts";
import type { Key, ObjectInfo, Validation } from "../../../core/object.ts";
import type { WholeBody } from "../../body/spool/spool.ts";

/**
 * The certainty that the object, or its absence, is the state of the store. `pending`: the object still waits for its
 * upload to a remote store. `foreign`: no mirrored object can be stored under the key, because another tool's object
 * lies there that cannot be served, or because the key is too long for the remote store. `unknown`: the remote store
 * did not answer, so it may hold another object or a tombstone.
 */
export type Certainty = "confirmed" | "pending" | "foreign" | "unknown";

/** An object waits for its upload. `unknown`: the remote store did not answer when the object was put. */
export type PendingCertainty = Extract<Certainty, "pending" | "unknown">;

/**
 * The state of a key. `epoch` is raised by upload, delete and purge; 0 for a key that had none of these.
 * `certainty` is absent if the store has confirmed the entry.
 */
export type Entry =
  | {
      readonly state: "object";
      readonly info: ObjectInfo;
      readonly epoch: number;
      readonly isStale: boolean;
      readonly certainty?: PendingCertainty;
    }
  | ({ readonly state: "tombstone"; readonly epoch: number } & Tombstone)
  | {
      readonly state: "absent";
      readonly epoch: number;
      readonly certainty?: "foreign" | "unknown";
      /** The reason of `unknown`. */
      readonly failure?: HuiyuanError;
    };

/** The record that a delete leaves. Times are Unix milliseconds. An expired one counts as absent and may be swept. */
export interface Tombstone {
  readonly deletedAt: number;
  readonly reason: string;
  /** Undefined: it stays until an upload or an undelete lifts it. */
  readonly expiresAt?: number | undefined;
}

/** One version of a mirrored object, as a lookup returned it. */
export interface SeenVersion {
  readonly etag: string;
  readonly epoch: number;
}

/** The result of a successful revalidation with the origin. It holds for this version only. */
export interface Renewal extends SeenVersion {
  /** The origin's own validator, as in Provenance. */
  readonly originEtag: string | undefined;
  readonly originLastModified: string | undefined;
  readonly validated: Validation;
  /** True: a purged object stays stale, because the origin has not confirmed it since. */
  readonly staysStale?: boolean | undefined;
}

/**
 * The condition of a put. `absent` and `etag` keep the epoch; with `epoch` they require the key to have that epoch.
 * `vacant` and `always` raise the epoch and lift a tombstone.
 * - `absent`: only if the key has neither an object nor a tombstone.
 * - `etag`: only if the key has the object with this entity tag.
 * - `vacant`: only if the key has no object.
 * - `always`: without condition.
 */
export type PutCondition =
  | { readonly when: "absent"; readonly epoch?: number }
  | { readonly when: "etag"; readonly etag: string; readonly epoch?: number }
  | { readonly when: "vacant" }
  | { readonly when: "always" };

/**
 * `exists`: an object is there, or not the one that the condition names. `deleted`: a tombstone is there. `outdated`:
 * the epoch was raised.
 */
export type PutResult = "stored" | "exists" | "deleted" | "outdated";

/** An open object. The owner closes it. */
export interface ObjectReader {
  /**
   * Bytes `start` to `end`, both inclusive, at most 1 MiB. Every block that they touch has been checked. `into`: a
   * buffer of the length of the result, which the driver may fill. The result may be another buffer.
   *
   * Throws store_failed. Throws original_replaced if a remote store now has another object, or none. Throws
   * store_corrupt for wrong or missing bytes. The object is quarantined then: if it can be fetched again, its key is
   * absent from now on. Any other object stays and is `isDamaged`.
   */
  read(start: number, end: number, into?: Buffer): Promise<Buffer>;
  /**
   * Present while the object is downloaded: single blocks are not checked, so that only the read of the last byte waits
   * for the proof. Resolves once every byte is known to be right and is on this machine. Throws as read() does.
   */
  proven?(): Promise<void>;
  close(): void;
}

/**
 * Synchronous reads of objects that were looked up and read a moment ago. Both methods return undefined if they would
 * have to wait, or if anything is wrong: BucketDriver's own methods then find out.
 */
export interface RecentReads {
  /** The object under the key, as lookup() returns it. */
  entry(key: Key): Extract<Entry, { readonly state: "object" }> | undefined;
  /** All bytes of an object that entry() has just returned, checked. `into` as in ObjectReader. */
  read(info: ObjectInfo, into?: Buffer): Buffer | undefined;
}

export interface OpenOptions {
  readonly mayBeReplaced: boolean;
}

/** `hard`: remove the mirrored object. `only`: change nothing if the key has another version, or none. */
export interface PurgeOptions {
  readonly hard: boolean;
  readonly only?: SeenVersion | undefined;
}

export interface ListOptions {
  readonly prefix: string;
  readonly after: Key | undefined;
  readonly limit: number;
  /** The waiting client's. A driver whose listing may take long ends it with client_gone. */
  readonly signal?: Cancellation | undefined;
}

/** One page of a listing, in ascending order of the key's UTF-8 bytes. */
export interface ListPage {
  readonly objects: readonly ObjectInfo[];
  /** The `after` of the next page; undefined on the last page. */
  readonly next: Key | undefined;
}

/** One bucket of a store. */
export interface BucketDriver {
  /** True if `open` may have to download the object; its reader then has `proven`. */
  readonly isRemote?: boolean | undefined;
  /** Changes throw url_invalid for a key whose name is too long for a remote store; a lookup finds it absent. */
  lookup(key: Key): Promise<Entry>;
  /**
   * Undefined if the object is not there any more: look it up again. Throws store_corrupt if it `isDamaged`.
   * `mayBeReplaced`: open its bytes even if the key has another object by now, as long as they are still on the disk.
   * The caller closes the reader.
   */
  open(info: ObjectInfo, options?: OpenOptions): Promise<ObjectReader | undefined>;
  /** Only a store on this machine has it. */
  readonly recent?: RecentReads | undefined;
  /**
   * Stores a whole body under `info.key`; durable when it resolves. The file of a body that was stored may be gone by
   * then; one that was refused is still there, for a put under another condition. A bucket throws url_invalid (key),
   * origin_too_large, origin_empty, internal (`info` describes another body).
   */
  put(info: ObjectInfo, body: WholeBody, condition: PutCondition): Promise<PutResult>;
  /** Makes a new object with the source's bytes, without moving them. Undefined if the source is not there. */
  copy(from: Key, to: ObjectInfo, condition: PutCondition): Promise<PutResult | undefined>;
  /** Removes the object, if there is one, and leaves a tombstone. True if there was an object. */
  delete(key: Key, tombstone: Tombstone): Promise<boolean>;
  /** Lifts a tombstone, so that the next miss may fetch from the origin again. True if one was in force. */
  undelete(key: Key): Promise<boolean>;
  /**
   * Raises the epoch and makes a mirrored object stale; with `hard` removes it. True if there was a mirrored object.
   */
  purge(key: Key, options: PurgeOptions): Promise<boolean>;
  /**
   * Replaces the validators and `validated` of a mirrored object, and ends its staleness unless `staysStale`. Bytes,
   * times and epoch stay. False, and nothing changes, if the renewal belongs to another version.
   */
  renew(key: Key, renewal: Renewal): Promise<boolean>;
  /**
   * An object that was stored with this SHA-1 (lower-case hex); undefined if this machine knows none. The caller must
   * read its bytes before it relies on them.
   */
  findBySha1(sha1: string): Promise<ObjectInfo | undefined>;
  /** Whether this machine knows another key of the bucket with the same bytes. */
  hasTwin(info: Pick<ObjectInfo, "key" | "hashes">): Promise<boolean>;
  list(options: ListOptions): Promise<ListPage>;
  /** Number of objects, and their total bytes; equal bytes count once for each object. */
  usage(): Promise<{ readonly objects: number; readonly bytes: number }>;
  /** Number of objects whose key has a query. */
  queryKeys(): Promise<number>;
}

/** A store of many buckets. It keeps equal bytes once. */
export interface Store {
  /** `id`: `<appid>/<bucket>`. Returns the same driver for the same id. */
  bucket(id: string): BucketDriver;
  /** Resolves if a write would succeed. Throws store_failed or store_full with the cause. */
  probe(): Promise<void>;
  /** Finishes accepted operations, then closes. */
  close(): Promise<void>;
}

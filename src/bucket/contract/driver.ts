// What a backend must do to hold a bucket. A driver may assume that everything was validated by bucket.ts; it
// promises in return that readers see the old object or the whole new one, and that what it acknowledged is durable.

import type { Cancellation } from "../../async/cancellation.ts";
import type { WholeBody } from "../../body/spool/spool.ts";
import type { HuiyuanError } from "../../core/errors.ts";
import type { Key, ObjectInfo, Validation } from "../../core/object.ts";

/**
 * What a bucket knows of a key. `epoch` is raised by upload, delete and purge; 0 for a key never touched so. `isQueued`:
 * still on its way to a remote store. `failure`: why it could not be found out whether the object is there; what is known
 * here says that it is not. `isTaken`: another tool's object, which cannot be served, lies there, so that nothing of a
 * mirror is stored.
 */
export type Entry =
  | {
      readonly state: "object";
      readonly info: ObjectInfo;
      readonly epoch: number;
      readonly isStale: boolean;
      readonly isPending?: boolean;
    }
  | ({ readonly state: "tombstone"; readonly epoch: number } & Tombstone)
  | {
      readonly state: "absent";
      readonly epoch: number;
      readonly failure?: HuiyuanError;
      readonly isForeign?: boolean;
    };

/** The mark that a delete leaves. Times are Unix milliseconds; one that has expired counts as absent and may be swept. */
export interface Tombstone {
  readonly deletedAt: number;
  readonly reason: string;
  /** Undefined: it stays until an upload or undelete lifts it. */
  readonly expiresAt?: number | undefined;
}

/** One version of what the mirror brought, as it was looked up. */
export interface SeenVersion {
  readonly etag: string;
  readonly epoch: number;
}

/** An origin has said again that its bytes are the stored ones. Holds for that version only. */
export interface Renewal extends SeenVersion {
  /** The origin's own, as in Provenance. */
  readonly originEtag: string | undefined;
  readonly originLastModified: string | undefined;
  readonly validated: Validation;
  /** True: what was purged stays stale, for the origin has not confirmed it. */
  readonly staysStale?: boolean | undefined;
}

/**
 * `absent`: only where nothing is (a tombstone counts as present), and where `epoch` is given only if the key's epoch
 * still is that. `etag`: only over the object with this entity tag. `vacant`: only where no object is; lifts a tombstone.
 * `always`: in any case; lifts a tombstone. `absent` and `etag` keep the epoch; `vacant` and `always` raise it.
 */
export type PutCondition =
  | { readonly when: "absent"; readonly epoch?: number }
  | { readonly when: "etag"; readonly etag: string; readonly epoch?: number }
  | { readonly when: "vacant" }
  | { readonly when: "always" };

/** `exists`: an object is there (or not the one named); `deleted`: a tombstone is; `outdated`: the epoch has moved on. */
export type PutResult = "stored" | "exists" | "deleted" | "outdated";

/** An open object. The owner closes it. */
export interface ObjectReader {
  /**
   * Bytes `start` to `end`, both inclusive, at most 1 MiB; every block they touch has been checked. Throws
   * store_corrupt (wrong or missing bytes: the object has been set aside; what can be had again is absent from now on,
   * anything else stays, `isDamaged`), store_failed, or original_replaced where a far store has another by now, or none. `into`: as long as what is read, where it may be put; the result may
   * lie elsewhere all the same.
   */
  read(start: number, end: number, into?: Buffer): Promise<Buffer>;
  /**
   * Where blocks are not checked one by one, and only the read that ends at the last byte waits for the proof: resolves
   * when every byte is known to be right. For whoever reads a part. Throws as read().
   */
  proven?(): Promise<void>;
  close(): void;
}

export interface OpenOptions {
  readonly mayBeReplaced: boolean;
}

/** `hard` removes what the mirror brought. `only`: where another version is there, or none, nothing changes at all. */
export interface PurgeOptions {
  readonly hard: boolean;
  readonly only?: SeenVersion | undefined;
}

export interface ListOptions {
  readonly prefix: string;
  readonly after: Key | undefined;
  readonly limit: number;
  /** Of whoever waits for it: a driver whose listing may take long ends it with client_gone. */
  readonly signal?: Cancellation | undefined;
}

/** One page of a listing, by ascending UTF-8 bytes of the key. */
export interface ListPage {
  readonly objects: readonly ObjectInfo[];
  /** Pass as `after` for the next page; undefined at the end. */
  readonly next: Key | undefined;
}

/** One bucket of a store. */
export interface BucketDriver {
  lookup(key: Key): Promise<Entry>;
  /**
   * Of a remote store: whether what is queued under the key was taken while it could not be asked, so that it may have another
   * object, or a tombstone, which will win.
   */
  isUnknown?(key: Key): boolean;
  /**
   * Undefined when the object is not there (any more). Throws store_corrupt for one that `isDamaged`. `mayBeReplaced`: its
   * bytes also where the key has another object by now, if they are still at hand.
   */
  open(info: ObjectInfo, options?: OpenOptions): Promise<ObjectReader | undefined>;
  /**
   * For whoever reads all of it in a moment, and should not wait for a far store then: brings it here, whatever its size. The
   * caller closes the reader. Undefined: it is here already, or cannot be had so, and `open` will tell. Absent where every
   * object is here.
   */
  prefetch?(info: ObjectInfo): Promise<ObjectReader | undefined>;
  put(info: ObjectInfo, body: WholeBody, condition: PutCondition): Promise<PutResult>;
  /** A new object with the source's bytes, without moving them. Undefined when the source is not there. */
  copy(from: Key, to: ObjectInfo, condition: PutCondition): Promise<PutResult | undefined>;
  /** Removes the object if there is one and leaves a tombstone. True when an object was there. */
  delete(key: Key, tombstone: Tombstone): Promise<boolean>;
  /** Lifts a tombstone. True when there was one in force. */
  undelete(key: Key): Promise<boolean>;
  /** Raises the epoch; marks an object that the mirror brought as stale, or with `hard` removes it. True when one was there. */
  purge(key: Key, options: PurgeOptions): Promise<boolean>;
  /**
   * Replaces validators and `validated` in the provenance of what the mirror brought and lifts the stale mark (but for `staysStale`); bytes,
   * times and epoch stay. False, and nothing changes, where the renewal is of another object.
   */
  renew(key: Key, renewal: Renewal): Promise<boolean>;
  /**
   * An object with this SHA-1 (lower-case hex) that was made known with it; undefined where none is known on this machine.
   * Its bytes are to be read before they are relied on.
   */
  findBySha1(sha1: string): Promise<ObjectInfo | undefined>;
  list(options: ListOptions): Promise<ListPage>;
  /** Objects, and the bytes that they take before equal ones are stored once. */
  usage(): Promise<{ readonly objects: number; readonly bytes: number }>;
}

/** A place that holds many buckets. Equal bytes are stored once in it. */
export interface Store {
  /** `id`: `<appid>/<bucket>`; the same driver for the same id. */
  bucket(id: string): BucketDriver;
  /** Resolves when a write would succeed; throws store_failed or store_full saying what is wrong. */
  probe(): Promise<void>;
  /** Finishes what was accepted, then closes. */
  close(): Promise<void>;
}

// The table of the writer's operations: names, requests and answers, for both sides of the thread. Everything in it is
// small and survives a structured clone. It carries no bodies: those are in files or in the shared memory.
import type { Key, ObjectInfo } from "../../../../core/object.ts";
import type { OperationOf, SharedSpan } from "../../../../sqlite/batch-worker.ts";
import type { OneTimeToken } from "../../../sign/once.ts";
import type {
  PendingCertainty,
  PurgeOptions,
  PutCondition,
  PutResult,
  Renewal,
  Tombstone,
} from "../../contract/driver.ts";

/** The place of a small blob: it begins at byte `at` of a pack. */
export interface PackPlace {
  readonly pack: number;
  readonly at: number;
}

export interface PutRequest {
  readonly bucket: string;
  readonly info: ObjectInfo;
  /** Block sums as a latin-1 string, because the clone of a small Buffer copies its whole pool. */
  readonly blockSums: string;
  readonly condition: PutCondition;
  /** As in Entry; undefined for an object that needs no upload. */
  readonly certainty?: PendingCertainty | undefined;
  /**
   * Path of a complete, synced file on the store's file system. A rename makes it the blob; it is removed if the blob
   * is there already or the put is refused. Undefined: the bytes come with the operation.
   */
  readonly source: string | undefined;
}

/** One object of a bucket. */
export interface ObjectRef {
  readonly bucket: string;
  readonly key: Key;
  readonly sha256: string;
}

/** `[request, answer]` by name. */
export interface WriteOperations {
  put: [PutRequest, PutResult];
  copy: [
    { readonly bucket: string; readonly from: Key; readonly to: ObjectInfo; readonly condition: PutCondition },
    PutResult | undefined,
  ];
  delete: [{ readonly bucket: string; readonly key: Key } & Tombstone, boolean];
  undelete: [{ readonly bucket: string; readonly key: Key }, boolean];
  renew: [{ readonly bucket: string; readonly key: Key; readonly renewal: Renewal }, boolean];
  purge: [{ readonly bucket: string; readonly key: Key } & PurgeOptions, boolean];
  /**
   * Makes the entry absent, keeps its epoch and leaves no tombstone. False if the key has another object, or none, or
   * if the object is pending and `evenPending` is false.
   */
  forget: [ObjectRef & { readonly evenPending: boolean }, boolean];
  /** The object is no longer pending. False if the key has another object, or none. */
  confirm: [ObjectRef, boolean];
  spend: [OneTimeToken, boolean];
  /** `now`: Unix seconds. Returns the number of removed tokens. */
  pruneSpent: [{ readonly now: number }, number];
  probe: [{ readonly at: number }, true];
  quarantine: [QuarantineRequest, readonly QuarantinedEntry[]];
  /** Removes blobs that are unused since before `unusedBefore` (Unix milliseconds). */
  sweep: [{ readonly unusedBefore: number; readonly limit: number }, readonly SweptBlob[]];
  /** Removes tombstones that expired before `expiredBefore` (Unix milliseconds). Returns their number. */
  forgetTombstones: [{ readonly expiredBefore: number; readonly limit: number }, number];
  /** Removes files without a row that are older than `changedBefore` (Unix milliseconds). Returns their number. */
  removeOrphans: [OrphanRequest, number];
  /**
   * Moves live blobs of a pack to the newest one, up to `maxBytes` in total but always at least one. Returns their
   * SHA-256; an empty answer means that no live blob is left.
   */
  compactPack: [{ readonly pack: number; readonly maxBytes: number }, readonly string[]];
  /** Removes the packs without live blobs. Returns their number. */
  removeEmptyPacks: [Record<string, never>, number];
}

export interface OrphanRequest {
  readonly sha256s: readonly string[];
  readonly packs: readonly number[];
  readonly changedBefore: number;
}

/** Identifies the damaged bytes, so that good bytes that were stored since are not quarantined. */
export interface QuarantineRequest {
  readonly sha256: string;
  /** Undefined: the blob has a file of its own. */
  readonly place: PackPlace | undefined;
  /** Inode of the blob's own file; undefined if the file was missing. */
  readonly inode: number | undefined;
  /** Prefixes of the ids of cache buckets, whose objects can all be fetched again. */
  readonly cacheBucketPrefixes: readonly string[];
}

/**
 * An entry whose blob was found damaged. `isOnlyCopy`: the object cannot be fetched again, so the entry stays and is
 * marked. Otherwise the entry is absent now.
 */
export interface QuarantinedEntry {
  readonly bucket: string;
  readonly key: string;
  readonly via: string;
  readonly isOnlyCopy: boolean;
}

export interface SweptBlob {
  readonly sha256: string;
  readonly size: number;
}

export type OperationName = keyof WriteOperations;
export type RequestOf<Name extends OperationName> = WriteOperations[Name][0];
export type AnswerOf<Name extends OperationName> = WriteOperations[Name][1];

/**
 * The implementation of each operation. `now`: Unix milliseconds; `body`: the bytes of a put, as a span of the shared
 * memory.
 */
export type Handlers = {
  [Name in OperationName]: (request: RequestOf<Name>, now: number, body?: SharedSpan) => AnswerOf<Name>;
};

export type Operation = OperationOf<WriteOperations>;

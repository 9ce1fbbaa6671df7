// What the writer can be asked to do: the one table of names, requests and answers that both sides of the thread share.
// Everything in it survives a structured clone and is small. Bytes lie in files, or in the memory that both sides
// share.
import type { ErrorCode } from "../../../core/errors.ts";
import type { Key, ObjectInfo } from "../../../core/object.ts";
import type { SpendRequest } from "../../../sign/once.ts";
import type { PurgeOptions, PutCondition, PutResult, Renewal, Tombstone } from "../../contract/driver.ts";

/** A complete file on the store's file system that is to become the blob by renaming. */
export interface BlobSource {
  readonly path: string;
  /** False: its bytes are not known to be on the disk, so it may only be dropped in favour of a blob that is there. */
  readonly isSynced: boolean;
}

/** Where the bytes of a small blob lie: from byte `at` of a pack. */
export interface PackPlace {
  readonly pack: number;
  readonly at: number;
}

/** Bytes of a put in the shared memory, for as long as the batch runs. */
export interface SharedSpan {
  readonly at: number;
  readonly size: number;
}

export interface PutRequest {
  readonly bucket: string;
  readonly info: ObjectInfo;
  /** Block sums as a latin-1 string: a Buffer would be cloned with the whole pool that it lies in. */
  readonly blockSums: string;
  readonly condition: PutCondition;
  /** Undefined: the bytes come with the operation, or the blob is there already. */
  readonly source: BlobSource | undefined;
}

/** `[request, answer]` by name. */
export interface WriteOperations {
  /** `blob-missing`: nothing changed; ask again with a synced source. */
  put: [PutRequest, PutResult | "blob-missing"];
  copy: [
    { readonly bucket: string; readonly from: Key; readonly to: ObjectInfo; readonly condition: PutCondition },
    PutResult | undefined,
  ];
  delete: [{ readonly bucket: string; readonly key: Key } & Tombstone, boolean];
  undelete: [{ readonly bucket: string; readonly key: Key }, boolean];
  renew: [{ readonly bucket: string; readonly key: Key; readonly renewal: Renewal }, boolean];
  purge: [{ readonly bucket: string; readonly key: Key } & PurgeOptions, boolean];
  /**
   * The object's entry becomes absent and keeps its epoch; no tombstone. False where another object, or none, is there.
   */
  forget: [{ readonly bucket: string; readonly key: Key; readonly sha256: string }, boolean];
  /** The object becomes that of the same key in another bucket, whose epoch stands. False where it is not there. */
  move: [{ readonly from: string; readonly to: string; readonly key: Key; readonly sha256: string }, boolean];
  spend: [SpendRequest, boolean];
  /** `now`: Unix seconds. Returns how many were forgotten. */
  pruneSpent: [{ readonly now: number }, number];
  probe: [{ readonly at: number }, true];
  quarantine: [QuarantineRequest, readonly QuarantinedEntry[]];
  /** Removes blobs that no entry uses since before `unusedBefore` (Unix milliseconds). */
  sweep: [{ readonly unusedBefore: number; readonly limit: number }, readonly SweptBlob[]];
  /** Forgets tombstones that expired before `expiredBefore` (Unix milliseconds). Returns how many. */
  forgetTombstones: [{ readonly expiredBefore: number; readonly limit: number }, number];
  /** Removes files without a row that are older than `changedBefore` (Unix milliseconds). Returns how many. */
  removeOrphans: [OrphanRequest, number];
  /**
   * Moves blobs of a pack to the newest, at most so many bytes but at least one. Returns their SHA-256; none: it is
   * empty.
   */
  compactPack: [{ readonly pack: number; readonly maxBytes: number }, readonly string[]];
  /** Removes the packs in which nothing lives. Returns how many. */
  removeEmptyPacks: [Record<string, never>, number];
}

export interface OrphanRequest {
  readonly sha256s: readonly string[];
  readonly packs: readonly number[];
  readonly changedBefore: number;
}

/** Names what was read wrongly, so that good bytes that were stored since are left alone. */
export interface QuarantineRequest {
  readonly sha256: string;
  /** Undefined: it has a file of its own. */
  readonly place: PackPlace | undefined;
  /** Of its own file; undefined: that was missing. */
  readonly inode: number | undefined;
  /** How the ids of buckets begin that hold what can be had again, however it came. */
  readonly cacheBucketPrefixes: readonly string[];
}

/**
 * An entry whose blob was found damaged. `isKept`: nobody else has it, and it stays, marked; the others are absent now.
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

/** An operation with its request, as it is sent. `body`: of a put whose bytes are in the shared memory. */
export type Operation = {
  [Name in OperationName]: { readonly name: Name; readonly request: RequestOf<Name>; readonly body?: SharedSpan };
}[OperationName];

/** `now`: Unix milliseconds, for what the operations stamp. */
export interface Batch {
  readonly now: number;
  readonly operations: readonly Operation[];
}

/** How one operation ended. */
export type Outcome =
  | { readonly ok: true; readonly answer: unknown }
  | { readonly ok: false; readonly code: ErrorCode; readonly message: string };

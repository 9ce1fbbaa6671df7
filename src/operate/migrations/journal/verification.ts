// The result of comparing source and target. The journal keeps the last one.

/**
 * `differs`: both have it, with other bytes. `missing`: the target lacks it. `gone`: the source does not have it any
 * more. `unread`: source or target could not be read, or the name cannot become an object. `failed`: it differs or is
 * missing because its copy has failed, for the reason that the journal keeps. `deleted`: a tombstone at the target,
 * which a migration respects.
 */
export type FindingKind = (typeof KINDS)[number];
export const KINDS = ["differs", "missing", "gone", "unread", "failed", "deleted"] as const;

/** It changes while verify() runs. */
export interface Tally {
  /** Rows of the journal, and those that were compared or passed over. */
  objects: number;
  done: number;
  equal: number;
  /** Compared by their hashes. */
  hashed: number;
  /** Outside of the sample, and the target is far: not compared at all. */
  skipped: number;
  /** Bytes that the source has sent. */
  bytes: number;
  /** `first`: the first 10 of each kind. `reason`: empty if the kind says all. */
  readonly findings: Readonly<
    Record<FindingKind, { count: number; readonly first: { readonly fileid: string; readonly reason: string }[] }>
  >;
}

export interface Verification extends Tally {
  /** When it was written, ISO 8601. */
  readonly at: string;
  /** Objects that are compared by hash: their number, or a share such as `5%`. */
  readonly sample: string;
  /** Why it is incomplete. Undefined: it has not ended. */
  readonly troubles?: readonly string[] | undefined;
}

export function createTally(): Tally {
  const none = () => ({ count: 0, first: [] });
  const findings = { differs: none(), missing: none(), gone: none(), unread: none(), failed: none(), deleted: none() };
  return { objects: 0, done: 0, equal: 0, hashed: 0, skipped: 0, bytes: 0, findings };
}

// The policy of a mirror: may an image be stored, for how long may it be served, and what do a 404, a 410, `no-store`
// and a failure do. Pure rules without clock and I/O; the files beside apply them. freshness/freshness.ts reads the
// lifetimes of RFC 9111 out of headers.
import { type ErrorCode, errorKind, errorRow, type HuiyuanError } from "../../core/errors.ts";
import { damageOf, type FillEnd } from "./fill/fill-end.ts";
import { type FreshnessRules, mayBeStored } from "./freshness/freshness.ts";

/** The settings of a mirror source that the policy depends on. */
export interface PolicyRules {
  /** Undefined: stored objects never become stale, whatever the origin's headers say. */
  readonly freshness: FreshnessRules | undefined;
  /** The effect of a 404 or 410 of the origin on a stored image. */
  readonly onGone: "keep" | "remove";
  /** A complete image of wrong structure or digest is passed on, or perhaps stored. */
  readonly suspects: "pass" | "keep";
  /** The time for which "no such image" is remembered. Milliseconds. */
  readonly negativeTtlMs: number;
}

// The right to store.

/**
 * The use of a fetched image whose key the bucket lacks. `store`: it is whole and sound. `if-repeated`: it
 * is stored once the origin has sent the same bytes twice, an hour apart. `pass`: it is served and not stored.
 */
export function storingOf(end: FillEnd, rules: PolicyRules): "store" | "if-repeated" | "pass" {
  if (end.kind === "whole") return mayBeStored(end.head.answer.life, rules.freshness) ? "store" : "pass";
  return end.kind === "suspect" && rules.suspects === "keep" ? "if-repeated" : "pass";
}

// The effect of an answer on pending and stored images.

/**
 * `superseded`: the pending images of the key are not stored; if one already is, it becomes stale. `gone`: they are
 * removed.
 */
export type Withdrawal = "superseded" | "gone";

/**
 * A 404 or 410 withdraws an image if `onGone` says so. So does an answer that forbids storing, and, for a revalidation,
 * a return to the stored bytes (`isCurrent`). Undefined: nothing is withdrawn.
 */
export function withdrawalBy(end: FillEnd, rules: PolicyRules, isCurrent = false): Withdrawal | undefined {
  if (end.kind === "absent") return rules.onGone === "remove" ? "gone" : undefined;
  const isForbidden = end.kind === "whole" && !mayBeStored(end.head.answer.life, rules.freshness);
  return isCurrent || isForbidden ? "superseded" : undefined;
}

/**
 * The end of a revalidation. `current`: the stored bytes are the origin's. `gone`, `removed`: the origin has no such
 * image; the stored one stays, or not. `new`: a sound version with other bytes. `suspect`: a damaged one, which is
 * served only if nothing else may be, and never stored over the last good one. `failed`: nothing usable arrived.
 */
export type RevalidationKind = "current" | "gone" | "removed" | "new" | "suspect" | "failed";

/** `sha256`: of the stored bytes. */
export function revalidationKind(end: FillEnd, sha256: string, { onGone }: PolicyRules): RevalidationKind {
  if (end.kind === "current" || end.kind === "failed") return end.kind;
  if (end.kind === "absent") return onGone === "remove" ? "removed" : "gone";
  const { hashes } = "body" in end ? end.body : end.info;
  if (hashes.sha256 === sha256) return "current";
  return damageOf(end) === undefined ? "new" : "suspect";
}

// The choice between the stored image, the new one, and an error.

/**
 * The image for the client of a revalidation: the stored image, the new one, or the error (not_found for `removed`).
 * `mayServeStale`: the stored image is young enough to be served although the origin has not confirmed it.
 */
export function servedAfter(kind: RevalidationKind, mayServeStale: boolean): "stored" | "new" | "error" {
  if (kind === "current" || kind === "gone") return "stored";
  if (kind === "new") return "new";
  if (kind === "removed") return "error";
  if (mayServeStale) return "stored";
  return kind === "suspect" ? "new" : "error";
}

/** Whether a pending image is served after a failed fetch. `isYoung`: by its lifetime, as for a stored one. */
export function mayServePending(code: ErrorCode, isYoung: boolean, { onGone }: PolicyRules): boolean {
  return code === "not_found" ? onGone === "keep" : isYoung;
}

// The memory of failures.

/** A failed fetch that a client waits for; clients get the same error meanwhile. Milliseconds. */
export const FAILURE_MS = 500;
/** A failed revalidation while the stored image is served. Milliseconds. */
const FAILED_MS = 1_000;
/** A new version that is no image, or that the disk refuses, stays so, and costs a whole body each time. */
const UNSTORABLE_MS = 10_000;

/** False: the failure says nothing about the key, and the next request for it asks the origin again. */
export function isRemembered(error: HuiyuanError): boolean {
  return errorRow(error.code).isPassing !== true;
}

/** The end of a revalidation that brought nothing usable. */
export type PausingEnd = { readonly kind: "gone" } | { readonly kind: "failed"; readonly error: HuiyuanError };

/** Until then the stored image is served without another revalidation. Milliseconds. */
export function pauseMs(end: PausingEnd, { negativeTtlMs }: Pick<PolicyRules, "negativeTtlMs">): number {
  if (end.kind === "gone") return Math.max(negativeTtlMs, FAILED_MS);
  return isBroken(end.error) || isRefusedByDisk(end.error) ? UNSTORABLE_MS : FAILED_MS;
}

/**
 * Whether the pause holds for a client that may not be served the stored image: not after FAILURE_MS, as for a key that
 * was never stored; and not if the new version can be streamed although the disk refuses it.
 */
export function isPauseForAll(end: PausingEnd, ageMs: number): boolean {
  return end.kind === "gone" || (!isRefusedByDisk(end.error) && ageMs < FAILURE_MS);
}

export const isBroken = (error: HuiyuanError) => errorKind(error) === "broken";

const isRefusedByDisk = (error: HuiyuanError) => errorKind(error) === "disk";

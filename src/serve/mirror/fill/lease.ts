// The lease of a fetch: of all nodes one fetches a key, and the others wait for the outcome. cluster/ implements it.
import { type ErrorCode, faultOf, HuiyuanError } from "../../../core/errors.ts";
import type { Key } from "../../../core/object.ts";
import type { FillEnd } from "./fill-end.ts";

/**
 * The outcome of a fetch for the nodes that wait. `stored`: look the key up again. `unstored`: fetch it. `failed` has
 * the parts of the error.
 */
export type FetchOutcome =
  | { readonly kind: "stored" }
  | { readonly kind: "absent" }
  | { readonly kind: "unstored" }
  | {
      readonly kind: "failed";
      readonly code: ErrorCode;
      readonly message: string;
      readonly originStatus?: number | undefined;
      readonly answerStatus?: number | undefined;
      readonly retryAfterSeconds?: number | undefined;
    };

/** The lease of one key. Ended once; a lease that is not ended expires soon. */
export interface FillLease {
  end(outcome: FetchOutcome): void;
  /** The image is on this disk, or was given up: the lease expires soon unless end() follows. */
  settled(): void;
}

export interface FillLeases {
  /**
   * Takes the lease, or waits up to `waitMs` for the outcome of the node that has it. Undefined: fetch without a lease.
   * Never rejects.
   */
  take(bucketId: string, key: Key, waitMs: number): Promise<FillLease | FetchOutcome | undefined>;
}

/** Undefined: the image may be stored; the lease ends once the remote store has it. */
export function outcomeOf(end: FillEnd): FetchOutcome | undefined {
  if (end.kind === "absent") return { kind: "absent" };
  if (end.kind !== "failed") return undefined;
  // A trouble of this node alone, such as a full disk, is none of the others'.
  const fault = faultOf(end.error.code);
  if (fault !== "origin" && fault !== "client") return { kind: "unstored" };
  const { code, message, originStatus, answerStatus, retryAfterSeconds } = end.error;
  return { kind: "failed", code, message, originStatus, answerStatus, retryAfterSeconds };
}

/** Another node has stored, or confirmed, the image: the caller looks it up. */
export function isByOtherNode(end: FillEnd): boolean {
  return end.kind === "failed" && end.error.code === "original_replaced";
}

/** The end of a fill whose image another node has fetched. Undefined: this node has to fetch it. */
export function endBy(outcome: FetchOutcome, key: Key): FillEnd | undefined {
  if (outcome.kind === "stored") {
    const message = `Cannot fetch "${key}": another node has just stored it`;
    return { kind: "failed", error: new HuiyuanError("original_replaced", message, { retryAfterSeconds: 1 }) };
  }
  if (outcome.kind !== "failed") return outcome.kind === "absent" ? { kind: "absent" } : undefined;
  const { code, message, originStatus, answerStatus, retryAfterSeconds } = outcome;
  const details = {
    ...(originStatus === undefined ? {} : { originStatus }),
    ...(answerStatus === undefined ? {} : { answerStatus }),
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  };
  return { kind: "failed", error: new HuiyuanError(code, message, details) };
}

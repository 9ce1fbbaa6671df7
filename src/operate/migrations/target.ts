// The interface of a migration target, which stores a whole, proven body under a fileid. targets/ implements it for a
// store of this machine, a server's admin API, and the REST API of a Huiyuan or of 万象优图.
import type { Hashes, ObjectInfo } from "../../core/object.ts";
import type { WholeBody } from "../../serve/body/spool/spool.ts";
import type { Validators } from "../../serve/origin/origin.ts";
import type { Replacement } from "./contract.ts";

/** The state of a fileid at the target. `deleted`: a tombstone, which a migration respects. */
export type TargetState =
  | { readonly state: "absent" | "deleted" }
  | {
      readonly state: "object";
      readonly size: number;
      /** Lower-case hex; undefined if the target does not say. */
      readonly md5: string | undefined;
      /** The source's own, if the target knows them: the source may confirm the object without sending it. */
      readonly validators: Validators | undefined;
    };

/**
 * `stored`: acknowledged and durable. `same`: the target had an object with equal bytes. `differs`: it has other bytes.
 * `deleted`: a tombstone is there.
 */
export type PutOutcome = "stored" | "same" | "differs" | "deleted";

export interface PutRequest {
  /** `provenance.via` is `migration`. */
  readonly info: ObjectInfo;
  readonly body: WholeBody;
  readonly replace: Replacement;
  readonly signal: AbortSignal;
}

/** Its methods throw HuiyuanErrors, and HuiyuanClientError for an answer of the REST API. */
export interface Target {
  /** True: look() costs little beside a fetch, so it is called before one. */
  readonly isNear: boolean;
  look(fileid: string, signal: AbortSignal): Promise<TargetState>;
  /** Settles races by a conditional create. */
  put(request: PutRequest): Promise<PutOutcome>;
  /**
   * Reads the stored bytes and returns their SHA-256, in lower-case hex. Undefined: there is no object. `verify`
   * compares it, and the reported MD5 if the target has no readSha256(). Also throws store_corrupt.
   */
  readSha256?(fileid: string, signal: AbortSignal): Promise<string | undefined>;
}

interface StoredFacts extends Partial<Pick<Hashes, "md5">> {
  readonly size: number;
  readonly isDamaged?: boolean;
  readonly provenance: Partial<Pick<ObjectInfo["provenance"], "originEtag" | "originLastModified">>;
}

/** The state of an object in a store. A damaged one has no validators: the source must send it. */
export function stateOf({ size, md5, isDamaged, provenance }: StoredFacts): TargetState {
  const { originEtag: etag, originLastModified: lastModified } = provenance;
  const isKnown = (etag ?? lastModified) !== undefined && isDamaged !== true;
  return { state: "object", size, md5, validators: isKnown ? { etag, lastModified } : undefined };
}

/** Sends a request to the admin API; `path` begins with /api/v1. Throws as fetch(). */
export type SendToAdmin = (path: string, init: RequestInit) => Promise<Response>;

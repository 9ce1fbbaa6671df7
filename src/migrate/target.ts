// The interface of a migration target: it takes a whole, proven body under a fileid. targets/ implements it: a store of
// this machine, a server's admin API, or the REST API of a Huiyuan or of 万象优图.
import type { WholeBody } from "../body/spool/spool.ts";
import type { ObjectInfo } from "../core/object.ts";
import type { Validators } from "../origin/origin.ts";

/** The state of a fileid at the target. `deleted`: a tombstone, which a migration respects. */
export type TargetState =
  | { readonly state: "absent" | "deleted" }
  | {
      readonly state: "object";
      readonly size: number;
      /** Lower-case hex; undefined if the target does not say. */
      readonly md5: string | undefined;
      readonly sha256: string | undefined;
      /** The source's own, if the target knows them: the source may confirm the object without sending it. */
      readonly validators: Validators | undefined;
    };

/**
 * Objects that a put may replace. `migrated`: an earlier copy of a migration. `newer`: also any object that was
 * modified before the source's.
 */
export type Replacement = (typeof REPLACEMENTS)[number];
export const REPLACEMENTS = ["none", "migrated", "newer", "always"] as const;

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

export interface Target {
  /** False: the REST API, where an upload never replaces. */
  readonly canReplace: boolean;
  /** True: look() costs little beside a fetch, so it is called before one. */
  readonly isNear: boolean;
  /** Throws request_invalid, store_failed, origin_timeout and HuiyuanErrors whose message tells the failure. */
  look(fileid: string, signal: AbortSignal): Promise<TargetState>;
  /** Settles races by a conditional create. Throws as look(), and TargetRefusal for an answer of the REST API. */
  put(request: PutRequest): Promise<PutOutcome>;
  /**
   * Passes the stored bytes to `take`, in order. False: there is no object. `verify` calls it if the target is near or
   * look() tells no digest. A target without it always tells the SHA-256. Throws as look(), and store_corrupt.
   */
  read?(fileid: string, take: (chunk: Uint8Array) => void, signal: AbortSignal): Promise<boolean>;
  /** Waits for accepted puts. */
  close(): Promise<void>;
}

/** A failure as the REST API tells it, in the text that users' `error.ignore.if` matches. */
export class TargetRefusal extends Error {
  /** The service's code; -2: no usable answer. */
  readonly code: number;
  /** 0: there was no answer. */
  readonly httpStatus: number;

  constructor({ code, httpStatus, text }: { code: number; httpStatus: number; text: string }) {
    super(`message: ${text}, code: ${code}, httpcode: ${httpStatus}`);
    this.name = "TargetRefusal";
    this.code = code;
    this.httpStatus = httpStatus;
  }
}

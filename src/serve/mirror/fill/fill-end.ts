// The head and the end of a fill: what is known of an origin's image when its head arrives, and when its body is
// complete. Types and one small reading of them; it fetches nothing.

import type { HuiyuanError } from "../../../core/errors.ts";
import type { ImageFacts, ObjectInfo } from "../../../core/object.ts";
import type { Spool, WholeBody } from "../../body/spool/spool.ts";
import type { NotModified, OriginAnswer } from "../../origin/origin.ts";

/** An answer without its body. A pending write must not keep the exchange behind a body, which is large. */
export type AnswerHead = Omit<OriginAnswer, "body">;

/** The head of a fill, once the first bytes have shown an image format: from then on a client can be answered. */
export interface FillHead {
  /** Bytes: exact once the fill has ended, else the origin's Content-Length; undefined if there is none. */
  readonly size: number | undefined;
  readonly image: ImageFacts;
  readonly answer: AnswerHead;
  /** Unix milliseconds, when the request was sent; the age of the answer counts from it, since a fetch may be slow. */
  readonly requestedAt: number;
  readonly spool: Spool;
}

/**
 * The end of a fill.
 * `whole`: the body is complete and proven.
 * `suspect`: the body is complete, but its structure or its declared hash is wrong.
 * `unstored`: the body is complete, but the disk refused it, so that some of it is in memory only; `info` is its
 * description, `damage` as in `suspect`.
 * `absent`: the origin has no such object.
 * `current`: the origin confirmed the version that `unless` named (304).
 * `failed`: no usable body arrived.
 */
export type FillEnd =
  | { readonly kind: "whole"; readonly head: FillHead; readonly body: WholeBody; readonly info: ObjectInfo }
  | {
      readonly kind: "suspect";
      readonly head: FillHead;
      readonly body: WholeBody;
      readonly damage: Damage;
    }
  | {
      readonly kind: "unstored";
      readonly head: FillHead;
      readonly error: HuiyuanError;
      readonly info: ObjectInfo;
      readonly damage: Damage | undefined;
    }
  | { readonly kind: "absent" }
  | { readonly kind: "current"; readonly answer: NotModified }
  | { readonly kind: "failed"; readonly error: HuiyuanError };

/** The fault of a complete body: a broken structure, or a hash that differs from the one its origin declared. */
export type Damage = "structure" | "hash";

/** Undefined: the body is sound, or it is not complete. */
export function damageOf(end: FillEnd | undefined): Damage | undefined {
  return end !== undefined && "damage" in end ? end.damage : undefined;
}

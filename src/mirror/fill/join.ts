// Joining a fill: what one of those who wait for it gets, as soon as it is known how good it is.

import type { Cancellation } from "../../async/cancellation.ts";
import type { ObjectInfo } from "../../core/object.ts";
import type { OriginAnswer } from "../../origin/origin.ts";
import { absent } from "../negative-cache.ts";
import { damageOf, type Fill, type FillHead } from "./fill.ts";
import { type FillReader, openFillReader } from "./reader.ts";

/**
 * `finished`: proven whole, on its way into the bucket. `filling`: still arriving, or complete without proof
 * (`isSuspect`: known to be so before the head). `asked`: the origin's answer to a HEAD; nothing is stored.
 * The first two hold the spool until `release`, and `isKept` is false where the origin forbids to keep the answer.
 */
export type MissAnswer =
  | {
      readonly kind: "finished";
      readonly info: ObjectInfo;
      readonly head: FillHead;
      readonly how: Join;
      isStored(): boolean;
      readonly isStorable: boolean;
      release(): void;
    }
  | {
      readonly kind: "filling";
      readonly head: FillHead;
      readonly reader: FillReader;
      readonly how: Join;
      readonly isSuspect: boolean;
      /** To be asked once the follower has seen a whole end. */
      isStored(): boolean;
      readonly isStorable: boolean;
      release(): void;
    }
  | {
      readonly kind: "asked";
      readonly answer: OriginAnswer;
      /** As in FillHead. */
      readonly requestedAt: number;
      readonly how: "first" | "collapsed";
    };

/**
 * `first` began the fill, or the question; `collapsed` joined it while it ran; `after` came when it had ended. `gone`, `failed`: so too,
 * and the origin, asked again, has none any more, or gave nothing of use.
 */
export type Join = "first" | "collapsed" | Late;
export type Late = "after" | "gone" | "failed";

export function isLate(how: Join): how is Late {
  return how !== "first" && how !== "collapsed";
}

/** Milliseconds; each request's own patience, and the deadlines of the origins. */
export interface RequestTimeouts {
  readonly connect: number;
  readonly firstByte: number;
  readonly idle: number;
  readonly total: number;
}

export interface JoinOptions {
  readonly timeouts: RequestTimeouts;
  readonly client: Cancellation;
  readonly isStorable: (head: FillHead) => boolean;
  /** Of a fill that has ended whole and is kept: whether the bucket takes it. */
  readonly mayStore: (fill: Fill) => boolean;
}

/** Throws not_found and what the fill failed with. */
export async function joinFill(
  fill: Fill,
  how: Join,
  { timeouts, client, isStorable, mayStore }: JoinOptions,
): Promise<Exclude<MissAnswer, { readonly kind: "asked" }>> {
  // The first waits as long as its origins may take in turn; their own deadlines end the fill earlier.
  const patience = {
    head: how === "first" ? timeouts.total : timeouts.firstByte,
    idle: timeouts.idle,
    total: timeouts.total,
  };
  const reader = openFillReader(fill, patience, client);
  try {
    const head = await reader.head();
    if (head === undefined) throw absent(fill.key);
    head.spool.hold();
    const release = () => {
      reader.close();
      head.spool.release();
    };
    const { end } = fill;
    const kept = isStorable(head);
    const isStored = () => kept && mayStore(fill);
    if (end?.kind === "whole")
      return { kind: "finished", info: end.info, head, how, isStorable: kept, isStored, release };
    const isSuspect = damageOf(end) !== undefined;
    return { kind: "filling", reader, isSuspect, head, how, isStorable: kept, isStored, release };
  } catch (error) {
    reader.close();
    throw error;
  }
}

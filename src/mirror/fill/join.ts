// Joining a fill: the request of one client for a key that the bucket lacks, and the answer it gets as soon as the head
// is known. It starts no fill and reads no body.

import type { Cancellation } from "../../async/cancellation.ts";
import type { ObjectInfo } from "../../core/object.ts";
import type { OriginAnswer } from "../../origin/origin.ts";
import { absent } from "../negative-cache.ts";
import type { OriginRequest } from "../rules.ts";
import type { Fill } from "./fill.ts";
import { damageOf, type FillHead } from "./fill-end.ts";
import { type FillReader, openFillReader } from "./reader.ts";

/** A miss: the bucket has answered `absent` with this epoch. */
export interface MissRequest extends OriginRequest {
  readonly method: "GET" | "HEAD";
  readonly epoch: number;
  readonly via: string | undefined;
  readonly cdnLoop: string | undefined;
  /** Aborts when the client leaves; a fetch that has begun continues, since it has the deadlines of the origin. */
  readonly signal: Cancellation;
  /** The client reads nothing before the end, so a fill that has dropped its first bytes will do. */
  readonly waitsForEnd?: boolean | undefined;
  /** The client only calls FillReader.whole(). */
  readonly needsWholeBody?: boolean | undefined;
}

/**
 * `finished`: the body is proven whole and is being written to the bucket.
 * `filling`: the body is arriving, or is complete without proof (`isSuspect`: that was known before the head).
 * `asked`: the origin's answer to a HEAD; nothing is stored.
 * The first two hold the spool until `release`; `isStorable` is false if the origin forbids to store the answer.
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
      /** Call it only once the reader has seen a whole end. */
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
 * `first`: this request started the fetch. `collapsed`: it joined a running one. `after`: the fill had ended before.
 * `gone`, `failed`: as `after`, because a newer fetch found no object, or nothing usable.
 */
export type Join = "first" | "collapsed" | Late;
export type Late = "after" | "gone" | "failed";

export function isLate(how: Join): how is Late {
  return how !== "first" && how !== "collapsed";
}

/** Milliseconds; they bound each client's own wait, and are the deadlines of the origins. */
export interface RequestTimeouts {
  readonly connect: number;
  readonly firstByte: number;
  readonly idle: number;
  readonly total: number;
}

export interface JoinOptions {
  readonly timeouts: RequestTimeouts;
  readonly client: Cancellation;
  /** Whether the origin allows to store its answer. */
  readonly isStorable: (answer: OriginAnswer) => boolean;
  /** For a fill that has ended whole and is storable: whether the bucket accepts it. */
  readonly mayStore: (fill: Fill) => boolean;
}

/** Throws not_found, and the error of a failed fill. */
export async function joinFill(
  fill: Fill,
  how: Join,
  { timeouts, client, isStorable: allowsStoring, mayStore }: JoinOptions,
): Promise<Exclude<MissAnswer, { readonly kind: "asked" }>> {
  // The first request waits as long as all its origins together may take; their own deadlines end the fill earlier.
  const readerTimeouts = {
    head: how === "first" ? timeouts.total : timeouts.firstByte,
    idle: timeouts.idle,
    total: timeouts.total,
  };
  const reader = openFillReader(fill, readerTimeouts, client);
  try {
    const head = await reader.head();
    if (head === undefined) throw absent(fill.key);
    head.spool.hold();
    const release = () => {
      reader.close();
      head.spool.release();
    };
    const { end } = fill;
    const isStorable = allowsStoring(head.answer);
    const isStored = () => isStorable && mayStore(fill);
    if (end?.kind === "whole") return { kind: "finished", info: end.info, head, how, isStorable, isStored, release };
    const isSuspect = damageOf(end) !== undefined;
    return { kind: "filling", reader, isSuspect, head, how, isStorable, isStored, release };
  } catch (error) {
    reader.close();
    throw error;
  }
}

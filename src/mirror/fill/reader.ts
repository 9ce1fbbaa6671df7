// One client's part in a fill: its request for a key that the bucket lacks, the answer that it gets as soon as the head
// is known, and its reads of the body with its own deadlines. When they pass the request fails; the fill continues.

import type { Cancellation } from "../../async/cancellation.ts";
import type { Spool } from "../../body/spool/spool.ts";
import { HuiyuanError } from "../../core/errors.ts";
import type { ObjectInfo } from "../../core/object.ts";
import type { OriginAnswer } from "../../origin/origin.ts";
import { absent } from "../negative-cache.ts";
import type { OriginRequest } from "../rules.ts";
import type { Fill } from "./fill.ts";
import { damageOf, type FillEnd, type FillHead } from "./fill-end.ts";

/** A miss: the bucket has answered `absent` with this epoch. */
export interface MissRequest extends OriginRequest {
  readonly method: "GET" | "HEAD";
  readonly epoch: number;
  readonly via: string | undefined;
  readonly cdnLoop: string | undefined;
  /** Aborts when the client leaves; a fetch that has begun continues, since it has the deadlines of the origin. */
  readonly signal: Cancellation;
}

/**
 * `finished`: the body is proven whole and is being written to the bucket.
 * `filling`: the body is arriving, or is complete without proof (`isSuspect`: that was known before the head).
 * `head`: the origin's answer to a HEAD; nothing is stored.
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
      readonly kind: "head";
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
): Promise<Exclude<MissAnswer, { readonly kind: "head" }>> {
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
    let isReleased = false;
    const release = () => {
      if (isReleased) return;
      isReleased = true;
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

/** Milliseconds, counted from the start of this request, or from the last byte it received (`idle`). */
export interface FillReaderTimeouts {
  readonly head: number;
  readonly idle: number;
  readonly total: number;
}

export interface FillReader {
  /**
   * Undefined: the origin has no such object. Throws the fill's error. After the deadline throws origin_timeout, or
   * store_failed if the fill was paused because the disk is behind.
   */
  head(): Promise<FillHead | undefined>;
  /** The next bytes of the spool from `offset`; undefined at the end of a complete body. Throws as head(). */
  read(head: FillHead, offset: number): Promise<Buffer | undefined>;
  /** Waits for the end of the fill without reading. */
  end(): Promise<FillEnd>;
  /** Clears the timers. The caller releases its own hold on the spool. */
  close(): void;
}

/** Joins a fill. `client` aborts when the client leaves. Call one method at a time. */
export function openFillReader(fill: Fill, timeouts: FillReaderTimeouts, client: Cancellation): FillReader {
  const startedAt = performance.now();
  let aborted: { readonly reason: unknown } | undefined;
  /** Rejects the wait for the fill that is pending. */
  let rejectWait: ((reason: unknown) => void) | undefined;
  // Created only when a read has to wait: most bodies are complete with their head, and an abort signal is expensive.
  let readAbort: AbortController | undefined;

  const abort = (reason: unknown) => {
    aborted ??= { reason };
    rejectWait?.(reason);
    readAbort?.abort(reason);
  };
  const expire = (phase: string) => () => {
    // Held up: the disk is behind, so a missing byte is not the origin's fault.
    const code = fill.spool?.isHeldUp() ? "store_failed" : "origin_timeout";
    abort(new HuiyuanError(code, `Cannot wait longer for "${fill.key}": no ${phase} in time`));
  };
  const clientLeft = () => abort(client.reason);
  client.addEventListener("abort", clientLeft);
  if (client.aborted) clientLeft();

  const headTimer = setTimeout(expire("first byte"), timeouts.head);
  let total: NodeJS.Timeout | undefined;
  let idle: NodeJS.Timeout | undefined;

  function startTotal(): void {
    const leftMs = Math.max(1, timeouts.total - (performance.now() - startedAt));
    total = setTimeout(expire("end"), leftMs);
    // After the end only the client's own speed matters, which this deadline does not bound.
    void fill.done.then(() => clearTimeout(total));
  }

  /** A reader may wait far ahead of the received bytes; the origin is not idle as long as any bytes arrive. */
  function waitForByte(spool: Spool): void {
    const { received } = spool;
    idle = setTimeout(() => {
      if (spool.received > received) waitForByte(spool);
      else expire("next byte")();
    }, timeouts.idle);
  }

  function unlessAborted<Value>(promise: Promise<Value>): Promise<Value> {
    if (aborted !== undefined) return Promise.reject(aborted.reason);
    return new Promise((resolve, reject) => {
      rejectWait = reject;
      promise.then(resolve, reject);
    });
  }

  function readSignal(): AbortSignal {
    readAbort ??= new AbortController();
    if (aborted !== undefined) readAbort.abort(aborted.reason);
    return readAbort.signal;
  }

  return {
    async head() {
      const head = await unlessAborted(fill.head);
      clearTimeout(headTimer);
      if (fill.end === undefined && total === undefined) startTotal();
      return head;
    },
    async read(head, offset) {
      const ready = head.spool.peek(offset);
      if (ready !== undefined) return ready;
      if (fill.end === undefined) waitForByte(head.spool);
      const chunk = await head.spool.read(offset, readSignal());
      clearTimeout(idle);
      idle = undefined;
      return chunk;
    },
    end: () => unlessAborted(fill.done),
    close() {
      client.removeEventListener("abort", clientLeft);
      clearTimeout(total);
      clearTimeout(headTimer);
      clearTimeout(idle);
    },
  };
}

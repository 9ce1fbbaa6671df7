// One client's part in a fill: its request for a key that the bucket lacks, the answer that it gets as soon as the head
// is known, and its reads of the body with its own deadlines. When they pass the request fails; the fill continues.

import type { Cancellation } from "../../../async/cancellation.ts";
import { HuiyuanError } from "../../../core/errors.ts";
import type { ObjectInfo } from "../../../core/object.ts";
import type { Spool } from "../../body/spool/spool.ts";
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
  | (MissBody & { readonly kind: "finished"; readonly info: ObjectInfo })
  | (MissBody & { readonly kind: "filling"; readonly reader: FillReader; readonly isSuspect: boolean })
  | {
      readonly kind: "head";
      readonly answer: OriginAnswer;
      /** Unix milliseconds, when the request was sent. */
      readonly requestedAt: number;
      readonly servedFrom: "first" | "collapsed";
    };

interface MissBody {
  readonly head: FillHead;
  readonly servedFrom: ServedFrom;
  /** Call it only once the reader has seen a whole end. */
  isStored(): boolean;
  readonly isStorable: boolean;
  release(): void;
}

/**
 * `first`: this request started the fetch. `collapsed`: it joined a running one. `after`: the fill had ended before.
 * `gone`, `failed`: as `after`, because a newer fetch found no object, or nothing usable.
 */
export type ServedFrom = "first" | "collapsed" | Late;
export type Late = "after" | "gone" | "failed";

export function isLate(servedFrom: ServedFrom): servedFrom is Late {
  return servedFrom !== "first" && servedFrom !== "collapsed";
}

/** Milliseconds; they bound each client's own wait, and are the deadlines of the origins. */
export interface RequestTimeouts {
  readonly connect: number;
  readonly firstByte: number;
  readonly idle: number;
  readonly total: number;
}

/** The rules that all requests of one mirror share. */
export interface JoinRules {
  readonly timeouts: RequestTimeouts;
  /** Whether the origin allows to store its answer. */
  readonly isStorable: (answer: Pick<OriginAnswer, "life">) => boolean;
  /** For a fill that has ended whole and is storable: whether the bucket accepts it. */
  readonly mayStore: (fill: Fill) => boolean;
}

/** `client` aborts when the client leaves. Throws not_found, and the error of a failed fill. */
export function joinFill(
  fill: Fill,
  servedFrom: ServedFrom,
  client: Cancellation,
  rules: JoinRules,
): Promise<FillAnswer> {
  const { firstByte, idle, total } = rules.timeouts;
  // The first request waits as long as all its origins together may take; their own deadlines end the fill earlier.
  // So does one that waits for another node first.
  const head = servedFrom === "first" || fill.isWaiting ? total : firstByte;
  const reader = new FillReader(fill, { head, idle, total }, client);
  return reader.head().then(
    (head) => answerOf(fill, servedFrom, { reader, head, rules }),
    (error: unknown) => {
      reader.close();
      throw error;
    },
  );
}

type FillAnswer = Exclude<MissAnswer, { readonly kind: "head" }>;

interface Joined {
  readonly reader: FillReader;
  readonly head: FillHead;
  readonly rules: JoinRules;
}

function answerOf(fill: Fill, servedFrom: ServedFrom, { reader, head, rules }: Joined): FillAnswer {
  head.spool.hold();
  let isReleased = false;
  const release = () => {
    if (isReleased) return;
    isReleased = true;
    reader.close();
    head.spool.release();
  };
  const { end } = fill;
  const isStorable = rules.isStorable(head.answer);
  const isStored = () => isStorable && rules.mayStore(fill);
  if (end?.kind === "whole")
    return { kind: "finished", info: end.info, head, servedFrom, isStorable, isStored, release };
  const isSuspect = damageOf(end) !== undefined;
  return { kind: "filling", reader, isSuspect, head, servedFrom, isStorable, isStored, release };
}

/** Milliseconds, counted from the start of this request, or from the last byte it received (`idle`). */
export interface FillReaderTimeouts {
  readonly head: number;
  readonly idle: number;
  readonly total: number;
}

/**
 * One client's reads of a fill. Call one method at a time. A class, because every miss makes one, and closures cost
 * more.
 */
export class FillReader {
  readonly #fill: Fill;
  readonly #timeouts: FillReaderTimeouts;
  readonly #client: Cancellation;
  readonly #clientLeft: () => void;
  readonly #startedAt: number;
  /** The deadline for the head, then the one for the end. */
  #timer: NodeJS.Timeout;
  #idle: NodeJS.Timeout | undefined;
  #aborted: { readonly reason: unknown } | undefined;
  /** Rejects the wait for the fill that is pending. */
  #rejectWait: ((reason: unknown) => void) | undefined;
  /** Made only when a read has to wait: most bodies are complete with their head, and an abort signal is expensive. */
  #readAbort: AbortController | undefined;

  /** Joins a fill. `client` aborts when the client leaves. */
  constructor(fill: Fill, timeouts: FillReaderTimeouts, client: Cancellation) {
    this.#fill = fill;
    this.#timeouts = timeouts;
    this.#client = client;
    this.#clientLeft = () => this.#abort(client.reason);
    this.#startedAt = performance.now();
    client.addEventListener("abort", this.#clientLeft);
    if (client.aborted) this.#clientLeft();
    this.#timer = setTimeout(() => this.#expire("first byte"), timeouts.head);
  }

  /**
   * Throws not_found, and the fill's error. After the deadline throws origin_timeout, or store_failed if the fill was
   * paused because the disk is behind.
   */
  head(): Promise<FillHead> {
    return this.#unlessAborted(this.#fill.head).then((head) => this.#begin(head));
  }

  #begin(head: FillHead | undefined): FillHead {
    const { key, end } = this.#fill;
    clearTimeout(this.#timer);
    if (head === undefined) throw end?.kind === "failed" ? end.error : absent(key);
    if (end === undefined) {
      const leftMs = Math.max(1, this.#timeouts.total - (performance.now() - this.#startedAt));
      this.#timer = setTimeout(() => this.#expire("end"), leftMs);
    }
    return head;
  }

  /** The next bytes of the spool from `offset`; undefined at the end of a complete body. Throws as head(). */
  async read({ spool }: FillHead, offset: number): Promise<Buffer | undefined> {
    const ready = spool.peek(offset);
    if (ready !== undefined) return ready;
    if (this.#fill.end === undefined) this.#waitForByte(spool);
    this.#readAbort ??= new AbortController();
    if (this.#aborted !== undefined) this.#readAbort.abort(this.#aborted.reason);
    const chunk = await spool.read(offset, this.#readAbort.signal);
    clearTimeout(this.#idle);
    return chunk;
  }

  /** Waits for the end of the fill without reading. */
  end(): Promise<FillEnd> {
    return this.#unlessAborted(this.#fill.done);
  }

  /** Clears the timers. The caller releases its own hold on the spool. */
  close(): void {
    this.#client.removeEventListener("abort", this.#clientLeft);
    clearTimeout(this.#timer);
    clearTimeout(this.#idle);
  }

  #abort(reason: unknown): void {
    this.#aborted ??= { reason };
    this.#rejectWait?.(reason);
    this.#readAbort?.abort(reason);
  }

  #expire(phase: string): void {
    const { key, spool, end } = this.#fill;
    // After the end only the client's own speed matters, which these deadlines do not bound.
    if (end !== undefined) return;
    // Held up: the disk is behind, so a missing byte is not the origin's fault.
    const code = spool?.isHeldUp() ? "store_failed" : "origin_timeout";
    this.#abort(new HuiyuanError(code, `Cannot wait longer for "${key}": no ${phase} in time`));
  }

  /** A reader may wait far ahead of the received bytes; the origin is not idle as long as any bytes arrive. */
  #waitForByte(spool: Spool): void {
    const { received } = spool;
    this.#idle = setTimeout(() => {
      if (spool.received > received) this.#waitForByte(spool);
      else this.#expire("next byte");
    }, this.#timeouts.idle);
  }

  #unlessAborted<Value>(promise: Promise<Value>): Promise<Value> {
    if (this.#aborted !== undefined) return Promise.reject(this.#aborted.reason);
    return new Promise((resolve, reject) => {
      this.#rejectWait = reject;
      promise.then(resolve, reject);
    });
  }
}

// One fetch of one key, shared by all requests that wait for it. It outlives those requests; only the deadlines of the
// origin end it. It stores nothing: fills.ts hands the finished spool to write-back.ts.

import { asHuiyuanError, HuiyuanError } from "../../../core/errors.ts";
import type { Key } from "../../../core/object.ts";
import type { Spool } from "../../body/spool/spool.ts";
import type { Origin, OriginRequest, OriginTarget, Validators } from "../../origin/origin.ts";
import type { MirrorMeter } from "../meter.ts";
import { Arrival, type ArrivalContext } from "./arrival.ts";
import type { FillEnd, FillHead } from "./fill-end.ts";
import { endBy, type FillLease, type FillLeases } from "./lease.ts";

/** One fetch: the key, and the request to the origin. */
export interface FillRequest extends OriginTarget {
  readonly id: string;
  readonly key: Key;
  readonly isStored: boolean;
  readonly epoch: number;
  /** The time of this call, Unix milliseconds. */
  readonly requestedAt: number;
  /** True: of all nodes one fetches the key. */
  readonly isShared?: boolean | undefined;
  /** The validators of the stored version, if only a newer one is needed. */
  readonly unless?: Validators | undefined;
  readonly via: string | undefined;
  readonly cdnLoop: string | undefined;
}

/** The services and settings that all fills of one mirror share. */
export interface FillContext extends ArrivalContext {
  readonly origin: Origin;
  /** Bytes of a body at most. */
  readonly maxBytes: number;
  readonly meter: MirrorMeter;
  /** The signal of the program: a shutdown ends a fill, a client that leaves does not. */
  readonly signal: AbortSignal;
  /** The leases of the other nodes; undefined if there are none. */
  readonly leases?: SharedLeases | undefined;
}

export interface SharedLeases extends FillLeases {
  readonly bucketId: string;
  /** A node waits so long for another one's fetch. Milliseconds. */
  readonly waitMs: number;
}

/**
 * Starts fetching at once. The fill holds its spool; the owner of `done` must release that hold. A class, because each
 * miss makes one, which lives until its image is stored.
 */
export class Fill {
  /** Equal for requests that share the fill. */
  readonly id: string;
  readonly key: Key;
  /** False: the answer depends on more than the key, so it is not stored. */
  readonly isStored: boolean;
  /** The key's epoch when the fill began; the body is not stored once that has moved on. */
  readonly epoch: number;
  /** Undefined: no head comes, and `end` says why. Never rejects. */
  readonly head: Promise<FillHead | undefined>;
  /** Never rejects. */
  readonly done: Promise<FillEnd>;
  /** Undefined while bytes may still arrive. Set by the fill alone, as `spool`. */
  end: FillEnd | undefined;
  /** Undefined before the head. */
  spool: Spool | undefined;
  /** The lease that this fill has taken. */
  lease: FillLease | undefined;
  /** Another node fetches the key, or may: nothing is asked of the origin yet. */
  isWaiting = false;
  /** Whether the bucket accepts the image (key-budget.ts); undefined until that is decided. */
  isAccepted: boolean | undefined;
  #resolveHead!: (head: FillHead | undefined) => void;
  #isSent = false;

  constructor(request: FillRequest, context: FillContext) {
    const { key, path, query, headers, followsRedirects, via, cdnLoop, unless } = request;
    const { meter, signal, maxBytes } = context;
    this.id = request.id;
    this.key = key;
    this.isStored = request.isStored;
    this.epoch = request.epoch;
    this.head = new Promise((resolve) => {
      this.#resolveHead = resolve;
    });
    const onSend = () => {
      if (!this.#isSent) meter.fillStarted();
      this.#isSent = true;
    };
    // Field by field: V8 takes microseconds and kilobytes to add to a spread object.
    const method = "GET" as const;
    const sent = {
      key,
      method,
      path,
      query,
      headers,
      followsRedirects,
      via,
      cdnLoop,
      unless,
      maxBytes,
      signal,
      onSend,
    };
    const { leases } = context;
    this.done =
      leases !== undefined && request.isShared === true
        ? this.#share(leases).then((end) => (end === undefined ? this.#run(sent, context.now(), context) : end))
        : this.#run(sent, request.requestedAt, context);
  }

  /** Undefined: this node has to fetch. */
  async #share(leases: SharedLeases): Promise<FillEnd | undefined> {
    this.isWaiting = true;
    const taken = await leases.take(leases.bucketId, this.key, leases.waitMs);
    this.isWaiting = false;
    if (taken !== undefined && "kind" in taken) {
      const end = endBy(taken, this.key);
      return end && this.#finish(end);
    }
    this.lease = taken;
    return undefined;
  }

  /** Requests a body that broke off before its head was announced once more, since no client has a byte of it. */
  async #run(wanted: OriginRequest, requestedAt: number, context: FillContext): Promise<FillEnd> {
    const { origin, meter, signal } = context;
    for (let isFirst = true; ; isFirst = false) {
      let arrival: Arrival | undefined;
      try {
        if (signal.aborted) throw new HuiyuanError("draining", "Cannot fetch: the server is stopping");
        const answer = await origin.fetch(wanted);
        if (answer === undefined) return this.#finish({ kind: "absent" });
        meter.originAnswered(answer.headMs);
        if (answer.isNotModified) return this.#finish({ kind: "current", answer });
        arrival = new Arrival(this, answer, requestedAt, context);
        await arrival.received;
        arrival.judge();
        await arrival.complete();
        return this.#finish(arrival.result());
      } catch (caught) {
        const error = asHuiyuanError(caught);
        arrival?.giveUp(error);
        const isCut = arrival !== undefined && this.spool === undefined && error.code === "origin_truncated";
        if (!isCut || !isFirst) return this.#finish({ kind: "failed", error });
        meter.retried();
      }
    }
  }

  /** A fill that has failed or ended meanwhile has its last word. */
  announce(head: FillHead): void {
    if (head.spool.end?.kind === "failed" || this.spool !== undefined) return;
    this.spool = head.spool;
    this.#resolveHead(head);
  }

  #finish(end: FillEnd): FillEnd {
    this.end = end;
    if ("head" in end) this.spool = end.head.spool;
    this.#resolveHead("head" in end ? end.head : undefined);
    return end;
  }
}

// One request's view of a fill, with its own deadlines: when they pass the request leaves and the fill goes on.

import type { Cancellation } from "../../async/cancellation.ts";
import type { Spool } from "../../body/spool/spool.ts";
import { HuiyuanError } from "../../core/errors.ts";
import type { Fill } from "./fill.ts";
import type { FillEnd, FillHead } from "./fill-end.ts";
import type { Transient, TransientBody } from "./transient.ts";

/** Milliseconds, each counted from this request's own start or its own last byte. */
export interface FillReaderTimeouts {
  readonly head: number;
  readonly idle: number;
  readonly total: number;
}

export interface FillReader {
  /**
   * Undefined: the origin has no such object. Throws the fill's error, or when this request's time is up origin_timeout, store_failed
   * where the origin was stopped because the disk is behind.
   */
  head(): Promise<FillHead | undefined>;
  /** The next bytes of the spool from `offset`; undefined at the end of a complete body. Throws as `head` does. */
  read(head: FillHead, offset: number): Promise<Buffer | undefined>;
  /** Waits for the fill to end, and reads nothing meanwhile. */
  end(): Promise<FillEnd>;
  /** As `end`, but `unkept` as soon as the disk cannot keep the body: who reads on at once has all of it. */
  endOrNotStorable(): Promise<FillEnd | "not-storable">;
  /**
   * As `end` of a body that is kept; all of one that the disk does not keep, until `close`. Throws not_kept as Rescue.take. To be
   * called once, after `head`.
   */
  whole(): Promise<Exclude<FillEnd, { readonly kind: "unstored" }> | TransientBody>;
  /** Frees the timers. The spool's hold is the caller's own. */
  close(): void;
}

const IN_TIME = ["origin_timeout", ""] as const;

/** Joins a fill. `client` aborts when the client has left. One of the methods at a time. */
export function openFillReader(fill: Fill, timeouts: FillReaderTimeouts, client: Cancellation): FillReader {
  const startedAt = performance.now();
  let left: { readonly reason: unknown } | undefined;
  /** Whoever waits for the fill. */
  let dismiss: ((reason: unknown) => void) | undefined;
  // Made for a reader that has to wait: most bodies are there when their head is, and an abort signal is dear.
  let patience: AbortController | undefined;
  let known: FillHead | undefined;
  let transient: Transient | undefined;

  const leave = (reason: unknown) => {
    left ??= { reason };
    dismiss?.(reason);
    patience?.abort(reason);
  };
  const expire = (phase: string) => () => {
    const [code, why] = fill.spool?.isHeldUp() ? (["store_failed", ", for the disk is behind"] as const) : IN_TIME;
    leave(new HuiyuanError(code, `Cannot wait longer for "${fill.key}": no ${phase} in time${why}`));
  };
  const clientLeft = () => leave(client.reason);
  client.addEventListener("abort", clientLeft);
  if (client.aborted) clientLeft();

  const waiting = setTimeout(expire("first byte"), timeouts.head);
  let total: NodeJS.Timeout | undefined;
  let idle: NodeJS.Timeout | undefined;

  function startTotal(): void {
    const leftMs = Math.max(1, timeouts.total - (performance.now() - startedAt));
    total = setTimeout(expire("end"), leftMs);
    // Then only the client's own speed is left, and that is not the origin's time.
    void fill.done.then(() => clearTimeout(total));
  }

  /** A reader may wait far ahead of the bytes that come: as long as some do, the origin is not silent. */
  function waitForByte(spool: Spool): void {
    const { received } = spool;
    idle = setTimeout(() => {
      if (spool.received > received) waitForByte(spool);
      else expire("next byte")();
    }, timeouts.idle);
  }

  function unlessLeft<Value>(promise: Promise<Value>): Promise<Value> {
    if (left !== undefined) return Promise.reject(left.reason);
    return new Promise((resolve, reject) => {
      dismiss = reject;
      promise.then(resolve, reject);
    });
  }

  function readSignal(): AbortSignal {
    patience ??= new AbortController();
    if (left !== undefined) patience.abort(left.reason);
    return patience.signal;
  }

  function endOrNotStorable(): Promise<FillEnd | "not-storable"> {
    const notStorable = known?.spool.notStorable().then(() => "not-storable" as const);
    return unlessLeft(notStorable === undefined ? fill.done : Promise.race([fill.done, notStorable]));
  }

  return {
    async head() {
      const head = await unlessLeft(fill.head);
      clearTimeout(waiting);
      known = head;
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
    async end() {
      // Where the disk has failed the origin waits for who reads, and would for this one, which waits for the origin.
      const ended = known?.spool.awaitEnd();
      try {
        return await unlessLeft(fill.done);
      } finally {
        ended?.();
      }
    },
    endOrNotStorable,
    async whole() {
      const end = await endOrNotStorable();
      if (end !== "not-storable" && end.kind !== "unstored") return end;
      if (known === undefined) throw new HuiyuanError("internal", "Cannot gather a body before its head");
      transient = fill.toTransient(known);
      return unlessLeft(transient.take());
    },
    close() {
      client.removeEventListener("abort", clientLeft);
      clearTimeout(total);
      clearTimeout(waiting);
      clearTimeout(idle);
      transient?.release();
      transient = undefined;
    },
  };
}

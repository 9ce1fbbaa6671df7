// Reads a fill for one request, with the request's own deadlines. When they pass the request fails; the fill continues.

import type { Cancellation } from "../../async/cancellation.ts";
import type { Spool } from "../../body/spool/spool.ts";
import { HuiyuanError } from "../../core/errors.ts";
import type { Fill } from "./fill.ts";
import type { FillEnd, FillHead } from "./fill-end.ts";
import type { Transient, TransientBody } from "./transient.ts";

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
  /**
   * As end(), but resolves with `not-storable` once the disk cannot keep the body; reading at once still gets all
   * bytes.
   */
  endOrNotStorable(): Promise<FillEnd | "not-storable">;
  /**
   * As end() if the disk keeps the body; else the whole body in memory, valid until close(). Throws not_kept as
   * Transient.take(). Call it once, after head().
   */
  whole(): Promise<Exclude<FillEnd, { readonly kind: "unstored" }> | TransientBody>;
  /** Clears the timers. The caller releases its own hold on the spool. */
  close(): void;
}

const IN_TIME = ["origin_timeout", ""] as const;

/** Joins a fill. `client` aborts when the client leaves. Call one method at a time. */
export function openFillReader(fill: Fill, timeouts: FillReaderTimeouts, client: Cancellation): FillReader {
  const startedAt = performance.now();
  let aborted: { readonly reason: unknown } | undefined;
  /** Rejects the wait for the fill that is pending. */
  let rejectWait: ((reason: unknown) => void) | undefined;
  // Created only when a read has to wait: most bodies are complete with their head, and an abort signal is expensive.
  let readAbort: AbortController | undefined;
  let known: FillHead | undefined;
  let transient: Transient | undefined;

  const abort = (reason: unknown) => {
    aborted ??= { reason };
    rejectWait?.(reason);
    readAbort?.abort(reason);
  };
  const expire = (phase: string) => () => {
    const [code, why] = fill.spool?.isHeldUp() ? (["store_failed", ", because the disk is behind"] as const) : IN_TIME;
    abort(new HuiyuanError(code, `Cannot wait longer for "${fill.key}": no ${phase} in time${why}`));
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

  function endOrNotStorable(): Promise<FillEnd | "not-storable"> {
    const notStorable = known?.spool.notStorable().then(() => "not-storable" as const);
    return unlessAborted(notStorable === undefined ? fill.done : Promise.race([fill.done, notStorable]));
  }

  return {
    async head() {
      const head = await unlessAborted(fill.head);
      clearTimeout(headTimer);
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
      // If the disk has failed, the fill waits for its readers. Without this it would wait for this reader, which waits
      // for it.
      const ended = known?.spool.awaitEnd();
      try {
        return await unlessAborted(fill.done);
      } finally {
        ended?.();
      }
    },
    endOrNotStorable,
    async whole() {
      const end = await endOrNotStorable();
      if (end !== "not-storable" && end.kind !== "unstored") return end;
      if (known === undefined) throw new HuiyuanError("internal", "Cannot collect a body before its head");
      transient = fill.toTransient(known);
      return unlessAborted(transient.take());
    },
    close() {
      client.removeEventListener("abort", clientLeft);
      clearTimeout(total);
      clearTimeout(headTimer);
      clearTimeout(idle);
      transient?.release();
      transient = undefined;
    },
  };
}

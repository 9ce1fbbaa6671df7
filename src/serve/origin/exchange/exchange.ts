// One request and its response on one connection: the head is a promise, the body is pushed to a sink with pause and
// resume. It counts every byte and translates every failure. It judges no status and follows no redirect.
import { type Cancellation, CancellationSource } from "../../../async/cancellation.ts";
import { HuiyuanError } from "../../../core/errors.ts";
import { type Dispatcher, headFailureCode, type TrackedRequest } from "../dial/dialer.ts";
import type { OriginBody, OriginSink } from "../origin.ts";
import type { Hop } from "./hop.ts";
import type { Lifetime } from "./lifetime.ts";
import { declaredLength, type RawHeaders } from "./response-head.ts";

export interface ExchangeRequest {
  readonly method: "GET" | "HEAD";
  readonly hop: Hop;
  /** Alternating names and values. */
  readonly headers: string[];
  /** Milliseconds: from the dispatch on a connection to the final head, and between two chunks without our pauses. */
  readonly timeouts: { readonly firstByte: number; readonly idle: number };
  /** Bytes of body; a longer body is origin_too_large. */
  readonly maxBytes: number;
  readonly lifetime: Lifetime;
}

/** A final response head (status 200 and above) and its paused body. */
export interface Reply {
  readonly status: number;
  readonly headers: RawHeaders;
  readonly body: ReplyBody;
}

export interface ReplyBody extends OriginBody {
  /** As in OriginAnswer. */
  readonly desync: Cancellation;
  /** Reads a short body to the end to keep its connection; closes the connection of a long one. */
  discard(): void;
}

/** 1xx heads before the final one. A few are legal; a flood only keeps the fetch busy. */
const MAX_INFORMATIONAL = 16;
/** Bytes of body accepted before there is a sink: those that arrive with the head, in one read. */
const MAX_EARLY_BYTES = 65_536;
/** The most bytes worth reading to keep a connection. */
const MAX_DISCARD_BYTES = 65_536;

/**
 * Sends the request. The body's sink gets origin_truncated, origin_timeout, origin_too_large, store_failed if the time
 * ran out during its own pause, or the lifetime's failure. A class, because undici requires a handler object and each
 * request makes one.
 */
export class Exchange implements Dispatcher.DispatchHandler, ReplyBody {
  /**
   * Rejects with origin_reset, origin_head_invalid, origin_unexpected, origin_timeout, the codes of connectGuarded(),
   * draining after the dialer was closed, and the lifetime's failure.
   */
  readonly reply: Promise<Reply>;
  readonly over: Promise<Error | undefined>;
  readonly desync = new CancellationSource();
  readonly #request: ExchangeRequest;
  #resolveHead!: (reply: Reply) => void;
  #rejectHead!: (error: Error) => void;
  #settleOver: (error: Error | undefined) => void = () => {};
  #phase: "head" | "body" | "over" = "head";
  #controller: Dispatcher.DispatchController | undefined;
  #timer: NodeJS.Timeout | undefined;
  #sink: OriginSink | undefined;
  /**
   * Bytes that arrived before there was a sink. A pause instead would make undici put them back into the socket and
   * read them again.
   */
  #early: Buffer[] = [];
  /** The end of the body while no sink has got it yet. */
  #pendingEnd: { readonly error: Error | undefined } | undefined;
  #isDiscarding = false;
  #informational = 0;
  #declared: number | undefined;
  #received = 0;

  constructor(dispatcher: Dispatcher, request: ExchangeRequest) {
    const { lifetime, hop, method, headers } = request;
    this.#request = request;
    this.reply = new Promise((resolve, reject) => {
      this.#resolveHead = resolve;
      this.#rejectHead = reject;
    });
    this.over = new Promise((resolve) => {
      this.#settleOver = resolve;
    });
    lifetime.exchange = this;
    if (lifetime.failure !== undefined) {
      this.stop(lifetime.failure);
      return;
    }
    const { desync } = this;
    // The two timeouts are kept here: exact to the millisecond, and without the sink's pauses.
    const tracked: TrackedRequest = { path: hop.target, method, headers, headersTimeout: 0, bodyTimeout: 0, desync };
    dispatcher.dispatch(tracked, this);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // Stopped while it waited for a connection. A throw here means "not sent" to undici: the connection stays usable.
    if (this.#phase === "over") throw new Error("the request was stopped before it was sent");
    this.#controller = controller;
    clearTimeout(this.#timer);
    const { firstByte } = this.#request.timeouts;
    const onLate = () => this.stop(this.#error("origin_timeout", `no response head in ${firstByte} ms`));
    this.#timer = setTimeout(onLate, firstByte);
  }

  onResponseStart(_controller: unknown, status: number, headers: RawHeaders): void {
    if (status < 200) {
      this.#informational += 1;
      if (this.#informational > MAX_INFORMATIONAL) {
        this.stop(this.#error("origin_unexpected", `over ${MAX_INFORMATIONAL} informational heads`));
      }
      return;
    }
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#phase = "body";
    if (this.#request.method === "GET") this.#declared = declaredLength(headers);
    this.#resolveHead({ status, headers, body: this });
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    // undici pushes an empty chunk after each pause in a body without a length.
    if (this.#phase !== "body" || chunk.length === 0) return;
    this.#received += chunk.length;
    const { maxBytes } = this.#request;
    if (this.#received > maxBytes && !this.#isDiscarding) {
      this.stop(this.#error("origin_too_large", `over ${maxBytes} bytes`));
      return;
    }
    if (this.#sink === undefined) {
      this.#early.push(chunk);
      if (this.#received > MAX_EARLY_BYTES) controller.pause();
      return;
    }
    if (!this.#isDiscarding) this.#timer?.refresh();
    if (!this.#sink.data(chunk)) controller.pause();
  }

  onResponseEnd(): void {
    const isShort = this.#declared !== undefined && this.#received !== this.#declared;
    this.#finish(isShort ? this.#error("origin_truncated", `${this.#received} of ${this.#declared} bytes`) : undefined);
  }

  onResponseError(_controller: unknown, cause: Error): void {
    if (this.#phase === "body") this.#finish(this.#truncated(cause));
    else if (cause instanceof HuiyuanError) this.#finish(cause);
    else this.#finish(this.#error(headFailureCode(cause), cause.message, cause));
  }

  start(sink: OriginSink): void {
    const isWaiting = this.#phase === "over" ? this.#pendingEnd !== undefined : this.#phase === "body";
    if (!isWaiting || this.#sink !== undefined) return;
    this.#sink = sink;
    const wantsMore = this.#deliverEarly(sink);
    // The sink may have destroyed the body.
    if (this.#sink !== sink) return;
    if (wantsMore) this.#resumeOrEnd();
    else this.#controller?.pause();
    // Resuming may have delivered the rest.
    if (this.#phase === "body") this.#timer = setTimeout(() => this.#onIdle(), this.#request.timeouts.idle);
  }

  /** Returns false if the sink wants a pause. */
  #deliverEarly(sink: OriginSink): boolean {
    const early = this.#early;
    this.#early = [];
    let wantsMore = true;
    for (const chunk of early) {
      if (this.#sink !== sink) break;
      wantsMore = sink.data(chunk);
    }
    return wantsMore;
  }

  resume(): void {
    if (this.#phase === "body" && this.#controller?.paused === true) this.#timer?.refresh();
    this.#resumeOrEnd();
  }

  /** The sink is ready: delivers more of the body, or its end. */
  #resumeOrEnd(): void {
    const [sink, pendingEnd] = [this.#sink, this.#pendingEnd];
    if (pendingEnd === undefined || sink === undefined) {
      this.#controller?.resume();
      return;
    }
    this.#pendingEnd = undefined;
    this.#sink = undefined;
    if (pendingEnd.error === undefined) sink.end();
    else sink.error(pendingEnd.error);
  }

  destroy(): void {
    this.#pendingEnd = undefined;
    this.#sink = undefined;
    this.#early = [];
    if (this.#phase === "over") return;
    const controller = this.#controller;
    this.#end(undefined);
    controller?.abort(new Error("the body is no longer needed"));
  }

  discard(): void {
    if ((this.#declared ?? 0) > MAX_DISCARD_BYTES) {
      this.destroy();
      return;
    }
    this.#isDiscarding = true; // one idle time for the whole body, because a dripping body must not hold the slot
    this.start({
      data: () => {
        if (this.#received > MAX_DISCARD_BYTES) this.destroy();
        return true;
      },
      end() {},
      error() {},
    });
  }

  /** Ends the exchange from this side. */
  stop(reason: Error): void {
    if (this.#phase === "over") return;
    const controller = this.#controller;
    this.#finish(reason);
    controller?.abort(reason);
  }

  /** If the time ran out while the sink paused, the origin is not to blame. */
  expire(reason: Error): void {
    const isOurs = this.#isHeldUp() && reason instanceof HuiyuanError && reason.code === "origin_timeout";
    this.stop(
      isOurs ? this.#error("store_failed", `its bytes were not taken in time (${reason.message})`, reason) : reason,
    );
  }

  /** True while the sink pauses the body. */
  #isHeldUp(): boolean {
    return this.#sink !== undefined && this.#controller?.paused === true && !this.#isDiscarding;
  }

  #onIdle(): void {
    if (this.#isHeldUp()) return; // the sink pauses; resume() restarts the timer
    this.stop(this.#error("origin_timeout", `no byte in ${this.#request.timeouts.idle} ms, ${this.#received} so far`));
  }

  /** Passes the end to its receiver: the head's promise, the sink, or a later sink. */
  #finish(error: Error | undefined): void {
    if (this.#phase === "over") return;
    const wasHead = this.#phase === "head";
    const sink = this.#sink;
    this.#end(error);
    if (wasHead) this.#rejectHead(error ?? this.#error("origin_head_invalid", "no head came"));
    else if (sink === undefined) this.#pendingEnd = { error };
    else if (error === undefined) sink.end();
    else sink.error(error);
  }

  #end(error: Error | undefined): void {
    this.#phase = "over";
    this.#sink = undefined;
    // Frees everything that refers to the connection now: the response may wait long until it is stored.
    this.#controller = undefined;
    clearTimeout(this.#timer);
    this.#settleOver(error);
  }

  /** Any end of the connection inside the body truncates it. Our own reasons go through stop(). */
  #truncated(cause: Error): HuiyuanError {
    const wanted = this.#declared === undefined ? "its end" : `${this.#declared}`;
    return this.#error("origin_truncated", `${cause.message} after ${this.#received} bytes, ${wanted} wanted`, cause);
  }

  #error(code: HuiyuanError["code"], found: string, cause?: Error): HuiyuanError {
    const message = `Cannot fetch "${this.#request.hop.url}": ${found}`;
    return new HuiyuanError(code, message, cause === undefined ? {} : { cause });
  }
}

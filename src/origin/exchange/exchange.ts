// One request and its response on one connection: the head as a promise, the body pushed by hand with pause and resume.
// It counts every byte itself and translates every failure. It judges no status and follows nothing.
import { HuiyuanError } from "../../core/errors.ts";
import type { Desync } from "../dial/desync.ts";
import type { ConnectionHolder, Dispatcher, TrackedRequest } from "../dial/dialer.ts";
import type { Lifetime } from "../dial/lifetime.ts";
import type { OriginBody, OriginSink } from "../origin.ts";
import { headFailureCode } from "./head-failure.ts";
import { declaredLength, type RawHeaders } from "./response-head.ts";

export interface ExchangeRequest {
  readonly method: "GET" | "HEAD";
  /** Path and query, percent-encoded. */
  readonly target: string;
  /** Names and values in turn. */
  readonly headers: string[];
  /** Names the request in messages. */
  readonly label: string;
}

export interface ExchangeLimits {
  /** Milliseconds from the request's dispatch on a connection to its response head, 1xx included. */
  readonly firstByteMs: number;
  /** Milliseconds between two pieces of the body; what the sink's own pauses take does not count. */
  readonly idleMs: number;
  /** Bytes of body; more are origin_too_large. */
  readonly maxBytes: number;
  readonly lifetime: Lifetime;
}

/** A final response head (status 200 and above) and its paused body. */
export interface Reply {
  readonly status: number;
  readonly headers: RawHeaders;
  readonly body: ReplyBody;
  /** Undefined: surely the answer to this request. */
  readonly desync: Desync | undefined;
}

export interface ReplyBody extends OriginBody {
  /** Reads a short body away so that its connection serves again; ends the connection of a long one. */
  discard(): void;
  /** Resolves when the exchange is over, however; never rejects. */
  readonly over: Promise<void>;
}

/** 1xx heads before the final one; a handful is legal, a flood keeps a fetch busy for nothing. */
const MAX_INFORMATIONAL = 16;
/** Bytes of body that are taken in before anybody wants them: those that come with the head, in one read. */
const MAX_EARLY_BYTES = 65_536;
/** Bytes that are worth reading to save a connection. */
const MAX_DISCARD_BYTES = 65_536;

/**
 * Sends the request. Throws origin_reset, origin_head_invalid, origin_unexpected, origin_timeout, the codes of
 * connectGuarded(), draining after the dialer was closed, and the lifetime's failure. The body's sink gets
 * origin_truncated, origin_timeout, origin_too_large, store_failed where the time ran out during a pause of its own, or the
 * lifetime's failure.
 */
export function exchange(dispatcher: Dispatcher, request: ExchangeRequest, limits: ExchangeLimits): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const handler = new Exchange(request, limits, { resolve, reject });
    limits.lifetime.watch((reason) => handler.expire(reason));
    if (limits.lifetime.failure !== undefined) return;
    const { target: path, method, headers } = request;
    // Both time-outs are kept here: to the millisecond, and without the time that the sink pauses.
    const tracked: TrackedRequest = { path, method, headers, headersTimeout: 0, bodyTimeout: 0, sender: handler };
    dispatcher.dispatch(tracked, handler);
  });
}

interface HeadWaiter {
  resolve(reply: Reply): void;
  reject(error: Error): void;
}

/** A class, since undici wants a handler object and one is made for each request. */
class Exchange implements Dispatcher.DispatchHandler, ReplyBody {
  readonly over: Promise<void>;
  readonly #request: ExchangeRequest;
  readonly #limits: ExchangeLimits;
  readonly #head: HeadWaiter;
  #settleOver: () => void = () => {};
  #phase: "head" | "body" | "over" = "head";
  #controller: Dispatcher.DispatchController | undefined;
  #holder: ConnectionHolder | undefined;
  #timer: NodeJS.Timeout | undefined;
  #sink: OriginSink | undefined;
  /** What came before there was a sink. Pausing there instead would have undici give it back to the socket, and read it again. */
  #early: Buffer[] = [];
  /** How it ended, where nobody has been told yet. */
  #pendingEnd: { readonly error: Error | undefined } | undefined;
  #isDiscarding = false;
  #informational = 0;
  #declared: number | undefined;
  #received = 0;

  constructor(request: ExchangeRequest, limits: ExchangeLimits, head: HeadWaiter) {
    this.#request = request;
    this.#limits = limits;
    this.#head = head;
    this.over = new Promise((resolve) => {
      this.#settleOver = resolve;
    });
  }

  setConnectionHolder(holder: ConnectionHolder): void {
    this.#holder = holder;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // Given up while it waited for a connection. A throw here means "not sent" to undici: the connection stays good.
    if (this.#phase === "over") throw new Error("given up before it was sent");
    this.#controller = controller;
    clearTimeout(this.#timer);
    const { firstByteMs } = this.#limits;
    this.#timer = setTimeout(() => this.stop(this.#timeout(`no response head in ${firstByteMs} ms`)), firstByteMs);
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
    this.#head.resolve({ status, headers, body: this, desync: this.#holder?.connection?.responseStarted() });
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    // After each pause in a body without a length undici gives an empty piece first.
    if (this.#phase !== "body" || chunk.length === 0) return;
    this.#received += chunk.length;
    const { maxBytes } = this.#limits;
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
    this.#holder?.connection?.responseEnded();
    const isShort = this.#declared !== undefined && this.#received !== this.#declared;
    this.#finish(isShort ? this.#error("origin_truncated", `${this.#received} of ${this.#declared} bytes`) : undefined);
  }

  onResponseError(_controller: unknown, cause: Error): void {
    if (this.#phase === "body") this.#finish(this.#truncated(cause));
    else if (cause instanceof HuiyuanError) this.#finish(cause);
    else this.#finish(this.#error(headFailureCode(cause, this.#holder?.connection), cause.message, cause));
  }

  start(sink: OriginSink): void {
    const isWaiting = this.#phase === "over" ? this.#pendingEnd !== undefined : this.#phase === "body";
    if (!isWaiting || this.#sink !== undefined) return;
    this.#sink = sink;
    const wantsMore = this.#deliverEarly(sink);
    // It may have wanted no more.
    if (this.#sink !== sink) return;
    if (wantsMore) this.#resumeOrEnd();
    else this.#controller?.pause();
    // The rest may have come by that.
    if (this.#phase === "body") this.#timer = setTimeout(() => this.#onIdle(), this.#limits.idleMs);
  }

  /** False: the sink wants a pause. */
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

  /** The sink takes what comes next: more of the body, or its end. */
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
    this.#end();
    controller?.abort(new Error("no longer wanted"));
  }

  discard(): void {
    if ((this.#declared ?? 0) > MAX_DISCARD_BYTES) {
      this.destroy();
      return;
    }
    this.#isDiscarding = true; // one idle time for all of it: nobody waits, and a dripping body must not hold the slot
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

  /** Ends the exchange because the fetch must. What ran out of time waiting for its sink is no failure of the origin. */
  expire(reason: Error): void {
    const isOurs = this.#isHeldUp() && reason instanceof HuiyuanError && reason.code === "origin_timeout";
    this.stop(
      isOurs ? this.#error("store_failed", `its bytes were not taken in time (${reason.message})`, reason) : reason,
    );
  }

  /** By a pause of the sink. */
  #isHeldUp(): boolean {
    return this.#sink !== undefined && this.#controller?.paused === true && !this.#isDiscarding;
  }

  #onIdle(): void {
    if (this.#isHeldUp()) return; // our own pause; resume() starts the timer anew
    this.stop(this.#timeout(`no byte in ${this.#limits.idleMs} ms, ${this.#received} so far`));
  }

  /** Tells whoever waits: the head's promise, the sink, or the sink to come. */
  #finish(error: Error | undefined): void {
    if (this.#phase === "over") return;
    const wasHead = this.#phase === "head";
    const sink = this.#sink;
    this.#end();
    if (wasHead) this.#head.reject(error ?? this.#error("origin_head_invalid", "no head came"));
    else if (sink === undefined) this.#pendingEnd = { error };
    else if (error === undefined) sink.end();
    else sink.error(error);
  }

  #end(): void {
    this.#phase = "over";
    this.#sink = undefined;
    // What it holds of the connection goes now: the answer may wait for long to be stored.
    this.#controller = undefined;
    this.#holder = undefined;
    clearTimeout(this.#timer);
    this.#settleOver();
  }

  /** Whatever ends a connection inside the body leaves a cut body; our own reasons came through stop(). */
  #truncated(cause: Error): HuiyuanError {
    const wanted = this.#declared === undefined ? "its end" : `${this.#declared}`;
    return this.#error("origin_truncated", `${cause.message} after ${this.#received} bytes, ${wanted} wanted`, cause);
  }

  #timeout(found: string): HuiyuanError {
    return this.#error("origin_timeout", found);
  }

  #error(code: HuiyuanError["code"], found: string, cause?: Error): HuiyuanError {
    const message = `Cannot fetch "${this.#request.label}": ${found}`;
    return new HuiyuanError(code, message, cause === undefined ? {} : { cause });
  }
}

// One request with its response, and the facts about them that all handlers share. No policy.
import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { performance } from "node:perf_hooks";
import { type Cancellation, CancellationSource } from "../../../async/cancellation.ts";
import { type ErrorCode, HuiyuanError } from "../../../core/errors.ts";
import { type DownloadResponse, flatHeaders, type Headers } from "./download-response.ts";
import type { Site } from "./site.ts";

/** A request of node's server or of the fast path. Header names are in lower case; texts have one character a byte. */
export interface DownloadRequest extends Pick<IncomingMessage, "method" | "url" | "httpVersion" | "rawHeaders"> {
  readonly headers: IncomingMessage["headers"] & { readonly "cdn-loop"?: string };
  readonly socket: { readonly remoteAddress?: string | undefined };
}

/** The outcome of a download, for counters and the access log. */
export interface DownloadOutcome {
  /** `hit`: from memory, bucket or spool, or processed from a stored image. `miss`: the origin was needed. */
  readonly kind: "hit" | "miss" | "error" | "other";
  readonly tier: "memory" | "bucket" | "spool" | "renderer" | "origin" | "none";
}

/** The request that an image is wanted for. Work of the program itself has headers and `client` only. */
export interface Requester {
  readonly request: Pick<DownloadRequest, "headers">;
  readonly response?: DownloadResponse;
  /** Created on first use by clientOf(). */
  client: Cancellation | undefined;
}

export interface DownloadExchange extends Requester {
  readonly request: DownloadRequest;
  readonly response: DownloadResponse;
  readonly requestId: string;
  /** Milliseconds of the monotonic clock. */
  readonly startedAt: number;
  /** The domain; undefined until the host is found. */
  site: Site | undefined;
  /** Whether the response depends on the request's Accept. False until the URL has been read. */
  isByAccept: boolean;
  /** Created on first use by clientSignal(). */
  signal: AbortSignal | undefined;
  outcome: DownloadOutcome;
  /** Body bytes that the head declared, or that were sent from a fill. */
  bodyBytes: number;
  /** The code of an error response. */
  errorCode: ErrorCode | undefined;
}

const UNKNOWN: DownloadOutcome = { kind: "other", tier: "none" };

export function beginExchange(
  request: DownloadRequest,
  response: DownloadResponse,
  requestId: string,
): DownloadExchange {
  return {
    request,
    response,
    requestId,
    startedAt: performance.now(),
    site: undefined,
    isByAccept: false,
    client: undefined,
    signal: undefined,
    outcome: UNKNOWN,
    bodyBytes: 0,
    errorCode: undefined,
  };
}

/**
 * Whether the client waits for "100 Continue" (RFC 9110 §10.1.1). Some clients send an empty Expect, which means
 * nothing.
 */
export function awaitsContinue({ headers, httpVersion }: Pick<IncomingMessage, "headers" | "httpVersion">): boolean {
  return (headers.expect ?? "") !== "" && httpVersion === "1.1";
}

/**
 * Cancelled with client_gone when the client leaves. A request that waits for a fill listens here: a true AbortSignal
 * costs ten times as much, so it is made only for streams. Created on first use: a memory hit needs none.
 */
export function clientOf(exchange: Requester): Cancellation {
  if (exchange.client !== undefined) return exchange.client;
  const client = new CancellationSource<HuiyuanError>();
  exchange.client = client;
  exchange.response?.onceGone(() =>
    client.cancel(new HuiyuanError("client_gone", "Cannot answer: the client has closed the connection")),
  );
  return client;
}

/** The same as an AbortSignal, made on first use. */
export function clientSignal(exchange: Requester & Pick<DownloadExchange, "signal">): AbortSignal {
  if (exchange.signal !== undefined) return exchange.signal;
  const client = clientOf(exchange);
  const controller = new AbortController();
  exchange.signal = controller.signal;
  if (client.aborted) controller.abort(client.reason);
  else client.addEventListener("abort", () => controller.abort(client.reason));
  return controller.signal;
}

/** Returns a source of request ids, which are never taken from a request: each has a random part, then a counter. */
export function createRequestIds(): () => string {
  const source = randomBytes(8).toString("hex");
  let count = 0;
  return () => {
    count += 1;
    return `${source}-${count.toString(36)}`;
  };
}

/**
 * Wraps a response of node's http server. A class, because V8 makes a slow object of every literal with a getter, and
 * retains all that it refers to.
 */
export class NodeResponse implements DownloadResponse {
  readonly #response: ServerResponse;
  #drained: (() => void) | undefined;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  get statusCode(): number {
    return this.#response.statusCode;
  }

  get headersSent(): boolean {
    return this.#response.headersSent;
  }

  get destroyed(): boolean {
    return this.#response.destroyed;
  }

  writeHead(status: number, ...headers: readonly Headers[]): void {
    this.#response.writeHead(status, flatHeaders(headers) as string[]); // node reads it only
  }

  write(bytes: Buffer): boolean {
    return this.#response.write(bytes);
  }

  end(bytes?: Buffer): void {
    this.#response.end(bytes);
  }

  destroy(): void {
    this.#response.destroy();
  }

  onceDrained(listener: () => void): void {
    if (this.#drained === undefined) this.#response.on("drain", () => this.#drained?.());
    this.#drained = listener;
  }

  onceGone(listener: () => void): void {
    if (this.#response.destroyed) listener();
    else this.#response.once("close", () => this.#response.writableFinished || listener());
  }

  onceOver(listener: () => void): void {
    if (this.#response.closed) listener();
    else this.#response.once("close", listener);
  }
}

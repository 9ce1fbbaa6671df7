// One request and its response: what all answers share, whoever brought them. No policy.
import type { IncomingMessage } from "node:http";
import { performance } from "node:perf_hooks";
import type { DownloadResponse, HeaderList } from "../response/response.ts";
import type { Client } from "./client.ts";
import type { Site } from "./site.ts";

/** What a download looks at: node's own request, or the lane's. Header names in lower case, one character a byte. */
export interface DownloadRequest
  extends Pick<IncomingMessage, "method" | "url" | "httpVersion" | "headers" | "rawHeaders"> {
  readonly socket: { readonly remoteAddress?: string | undefined };
}

/** How a download was answered, for counters and the access log. */
export interface Outcome {
  /** `hit`: from memory, bucket or spool, or made of what was there. `miss`: the origin was needed. */
  readonly kind: "hit" | "miss" | "error" | "other";
  readonly tier: "memory" | "bucket" | "spool" | "renderer" | "origin" | "none";
}

export interface Exchange {
  readonly request: DownloadRequest;
  readonly response: DownloadResponse;
  readonly requestId: string;
  /** Milliseconds of the monotonic clock. */
  readonly startedAt: number;
  /** Set once the host is known to be served here. */
  site: Site | undefined;
  /** True if the answer depends on the request's Accept; it is false until the URL has been read. */
  isByAccept: boolean;
  /** Made when first needed. */
  client: Client | undefined;
  outcome: Outcome;
  /** Body bytes that the head announced, or that were sent from a fill. */
  bodyBytes: number;
  /** The error code of a failed answer. */
  errorCode: string | undefined;
}

const UNKNOWN: Outcome = { kind: "other", tier: "none" };

export function beginExchange(request: DownloadRequest, response: DownloadResponse, requestId: string): Exchange {
  return {
    request,
    response,
    requestId,
    startedAt: performance.now(),
    site: undefined,
    isByAccept: false,
    client: undefined,
    outcome: UNKNOWN,
    bodyBytes: 0,
    errorCode: undefined,
  };
}

/** Sends a head and a whole body; a HEAD gets the head alone. `headers` without Content-Length and X-Request-Id. */
export function sendWhole(exchange: Exchange, status: number, headers: HeaderList, body: Buffer): void {
  const { request, response, requestId } = exchange;
  response.writeHead(status, headers, ["Content-Length", String(body.byteLength), "X-Request-Id", requestId]);
  if (request.method === "HEAD") response.end();
  else response.end(body);
}

/** Whether the client waits for "100 Continue" before it sends the body (RFC 9110 §10.1.1). Some clients send the header empty. */
export function awaitsContinue({ headers, httpVersion }: Pick<IncomingMessage, "headers" | "httpVersion">): boolean {
  return (headers.expect ?? "") !== "" && httpVersion === "1.1";
}

// One request and its response on a socket: what all answers share. No policy.
import type { IncomingMessage, ServerResponse } from "node:http";
import { performance } from "node:perf_hooks";
import type { Site } from "./site.ts";

/** How a download was answered, for counters and the access log. */
export interface Outcome {
  /** `hit`: from memory, bucket or spool. `miss`: the origin was needed. */
  readonly kind: "hit" | "miss" | "error" | "other";
  readonly tier: "memory" | "bucket" | "spool" | "origin" | "none";
}

export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly requestId: string;
  /** Milliseconds of the monotonic clock. */
  readonly startedAt: number;
  /** Set once the host is known to be served here. */
  site: Site | undefined;
  /** Aborts when the client leaves; made when first needed. */
  client: AbortSignal | undefined;
  outcome: Outcome;
  /** Body bytes that the head announced; 0 where none were or the length was not known. */
  bodyBytes: number;
  /** The error code of a failed answer. */
  errorCode: string | undefined;
}

const UNKNOWN: Outcome = { kind: "other", tier: "none" };

export function beginExchange(request: IncomingMessage, response: ServerResponse, requestId: string): Exchange {
  return {
    request,
    response,
    requestId,
    startedAt: performance.now(),
    site: undefined,
    client: undefined,
    outcome: UNKNOWN,
    bodyBytes: 0,
    errorCode: undefined,
  };
}

/** Flat name, value, name, value …, as `writeHead` takes it. */
export type HeaderList = readonly string[];

/** Sends a head and a whole body; a HEAD gets the head alone. `headers` without Content-Length and X-Request-Id. */
export function sendWhole(exchange: Exchange, status: number, headers: HeaderList, body: Buffer): void {
  const { request, response, requestId } = exchange;
  response.writeHead(status, [...headers, "Content-Length", String(body.byteLength), "X-Request-Id", requestId]);
  if (request.method === "HEAD") response.end();
  else response.end(body);
}

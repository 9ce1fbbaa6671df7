// Limits the body of a request that needs none, as downloads and health checks do.
import type { IncomingMessage, ServerResponse } from "node:http";
import { awaitsContinue } from "../request/exchange.ts";

/** Milliseconds. */
const BODY_MS = 30_000;
const BODILESS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

/** Sends "100 Continue" where the client waits for it, and ends the connection if the body takes too long. */
export function limitUnusedBody(request: IncomingMessage, response: ServerResponse): void {
  const { headers, method = "" } = request;
  if (awaitsContinue(request)) {
    // Other methods are refused, so their body is not invited. The client may send it or not, so the start of its next
    // request is unknown.
    if (BODILESS.has(method)) response.writeContinue();
    else response.shouldKeepAlive = false;
  }
  if (headers["transfer-encoding"] === undefined && headers["content-length"] === undefined) return;
  // The body was read while the request waited for its turn, and `close` has been emitted.
  if (request.complete) return;
  const timer = setTimeout(() => request.complete || request.socket.destroy(), BODY_MS);
  request.once("close", () => clearTimeout(timer));
}

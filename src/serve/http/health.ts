// The health checks of load balancers on the download port.
import type { IncomingMessage, ServerResponse } from "node:http";
import { targetOf } from "./request/target.ts";

/** Whether a request is a health check; false if `path`, such as `/.well-known/huiyuan`, is empty. */
export function isHealth(
  request: Pick<IncomingMessage, "method" | "url" | "rawHeaders" | "httpVersion">,
  path: string,
): boolean {
  const { method, url = "" } = request;
  if (path === "" || (method !== "GET" && method !== "HEAD")) return false;
  // Every download pays for this line, so it comes before the headers are read.
  if (!(url.startsWith("/") ? isPathOf(url, path) : url.includes(path))) return false;
  try {
    const { key = "" } = targetOf(request);
    return `/${key}` === path;
  } catch {
    return false; // A bad Host, for example: the download reports the fault.
  }
}

/** Whether `url`, which begins with a slash, is `path`, with a query or without one. */
export function isPathOf(url: string, path: string): boolean {
  return url.startsWith(path) && (url.length === path.length || url[path.length] === "?");
}

/** Answers 200 or 503. The body has no further detail, because everyone may send this request. */
export function answerHealth(
  { method }: Pick<IncomingMessage, "method">,
  response: ServerResponse,
  { isReady, requestId }: { readonly isReady: boolean; readonly requestId: string },
): void {
  const body = Buffer.from(`${JSON.stringify({ status: isReady ? "ready" : "not ready" })}\n`);
  response.writeHead(isReady ? 200 : 503, [
    ...["Content-Type", "application/json; charset=utf-8", "Cache-Control", "no-store"],
    ...["X-Content-Type-Options", "nosniff", "Content-Length", String(body.byteLength), "X-Request-Id", requestId],
  ]);
  response.end(method === "HEAD" ? undefined : body);
}

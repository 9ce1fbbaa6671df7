// Answers health checks of load balancers on the download port: 200 if the server may be sent traffic, else 503. Hosts,
// buckets and origins play no part. The admin port's /readyz gives an operator the reasons.
import type { Readiness } from "../admin/readiness.ts";
import type { DownloadRequest } from "../request/exchange.ts";
import { targetOf } from "../request/target.ts";
import type { DownloadResponse } from "../response/response.ts";

export interface HealthOptions {
  /** The health path, such as `/.well-known/huiyuan`; empty: health checks are off. */
  readonly path: () => string;
  readonly readiness: () => Promise<Readiness>;
  readonly nextRequestId: () => string;
}

type Listener = (request: DownloadRequest, response: DownloadResponse) => void;

/** Returns a listener that answers GET and HEAD of the health path and passes all other requests to `listener`. */
export function withHealth(listener: Listener, { path, readiness, nextRequestId }: HealthOptions): Listener {
  return (request, response) => {
    if (!isHealth(request, path())) return listener(request, response);
    const requestId = nextRequestId();
    const respond = (isReady: boolean) => answer(isReady, { request, response, requestId });
    readiness().then(
      ({ isReady }) => respond(isReady),
      () => respond(false),
    );
  };
}

/** Whether a request is a health check; false if `path` is empty. */
export function isHealth(request: DownloadRequest, path: string): boolean {
  const { method, url = "" } = request;
  if (path === "" || (method !== "GET" && method !== "HEAD")) return false;
  // Every download pays for this line, so it comes before the headers are read.
  if (!(url.startsWith("/") ? isPathOf(url, path) : url.includes(path))) return false;
  try {
    const { key = "" } = targetOf(request);
    return `/${key}` === path;
  } catch {
    return false; // A bad Host, for example: the listener reports the fault.
  }
}

/** Whether `url`, which begins with a slash, is `path`, with a query or without one. */
function isPathOf(url: string, path: string): boolean {
  return url.startsWith(path) && (url.length === path.length || url[path.length] === "?");
}

interface HealthCheck {
  readonly request: DownloadRequest;
  readonly response: DownloadResponse;
  readonly requestId: string;
}

/** The body has no further detail, because everyone may send this request. */
function answer(isReady: boolean, { request, response, requestId }: HealthCheck): void {
  const body = Buffer.from(`${JSON.stringify({ status: isReady ? "ready" : "not ready" })}\n`);
  response.writeHead(isReady ? 200 : 503, [
    ...["Content-Type", "application/json; charset=utf-8", "Cache-Control", "no-store"],
    ...["X-Content-Type-Options", "nosniff", "Content-Length", String(body.byteLength), "X-Request-Id", requestId],
  ]);
  if (request.method === "HEAD") response.end();
  else response.end(body);
}

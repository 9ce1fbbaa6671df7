// Answers load balancers on the download port: whether the server may be sent traffic. No host, bucket or origin has a
// part in it. The admin port's /readyz tells an operator more.
import type { Readiness } from "../admin/readiness.ts";
import type { DownloadRequest } from "../request/exchange.ts";
import { targetOf } from "../request/target.ts";
import type { DownloadResponse } from "../response/response.ts";

export interface HealthOptions {
  /** Such as `/.well-known/huiyuan`; empty: there is none. */
  readonly path: () => string;
  readonly readiness: () => Promise<Readiness>;
  readonly nextRequestId: () => string;
}

type Listener = (request: DownloadRequest, response: DownloadResponse) => void;

/** A listener that answers GET and HEAD of the health path, and gives all other requests to `listener`. */
export function withHealth(listener: Listener, { path, readiness, nextRequestId }: HealthOptions): Listener {
  return (request, response) => {
    if (!isHealth(request, path())) return listener(request, response);
    const requestId = nextRequestId();
    const tell = (isReady: boolean) => answer(isReady, { request, response, requestId });
    readiness().then(
      ({ isReady }) => tell(isReady),
      () => tell(false),
    );
  };
}

/** Whether a request is for the health path. An empty `path` is no request's. */
export function isHealth(request: DownloadRequest, path: string): boolean {
  const { method, url = "" } = request;
  if (path === "" || (method !== "GET" && method !== "HEAD")) return false;
  // Every hit pays for this line.
  if (!(url.startsWith("/") ? isPathOf(url, path) : url.includes(path))) return false;
  try {
    const { key = "" } = targetOf(request);
    return `/${key}` === path;
  } catch {
    return false; // Two Hosts, for one: the listener says why.
  }
}

/** Whether `url`, which begins with a slash, is `path`, with a query or without one. */
function isPathOf(url: string, path: string): boolean {
  return url.startsWith(path) && (url.length === path.length || url[path.length] === "?");
}

interface Asked {
  readonly request: DownloadRequest;
  readonly response: DownloadResponse;
  readonly requestId: string;
}

/** Says no more than that: everyone may ask. */
function answer(isReady: boolean, { request, response, requestId }: Asked): void {
  const body = Buffer.from(`${JSON.stringify({ status: isReady ? "ready" : "not ready" })}\n`);
  response.writeHead(isReady ? 200 : 503, [
    ...["Content-Type", "application/json; charset=utf-8", "Cache-Control", "no-store"],
    ...["X-Content-Type-Options", "nosniff", "Content-Length", String(body.byteLength), "X-Request-Id", requestId],
  ]);
  if (request.method === "HEAD") response.end();
  else response.end(body);
}

// Decides whether the server may be sent traffic, and answers the health checks of load balancers. It is not ready
// while it stops, or if the store cannot be written. With a full store it stays ready: serving continues without
// storing.
import type { IncomingMessage, ServerResponse } from "node:http";
import { withTimeout } from "../../async/cancellation.ts";
import { asHuiyuanError, type HuiyuanError } from "../../core/errors.ts";
import { targetOf } from "../../serve/http/request/target.ts";

/** Whether the server may be sent traffic, with notes for operators. */
export interface Readiness {
  readonly isReady: boolean;
  /** The reason if it is not ready, and other notes: a refused settings file, settings that wait for a restart. */
  readonly notes: readonly string[];
}

export interface ReadinessParts {
  /** Writes to the store. Throws store_full, store_failed. */
  readonly probe: () => Promise<void>;
  readonly isDraining: () => boolean;
  /** Further notes for operators. */
  readonly notes: () => readonly string[];
}

/** At most one probe in this time: it costs an fsync, and every client can request it. */
const PROBE_EVERY_MS = 1_000;
/** The store is not ready if a probe takes longer. */
const PROBE_DEADLINE_MS = 2_000;

export function createReadiness({ probe, isDraining, notes }: ReadinessParts): () => Promise<Readiness> {
  let latest: { readonly at: number; readonly failure: Promise<HuiyuanError | undefined> } | undefined;
  let isPending = false;

  function storeFailure(): Promise<HuiyuanError | undefined> {
    if (latest === undefined || (!isPending && performance.now() - latest.at >= PROBE_EVERY_MS)) {
      isPending = true;
      const probed = probe().finally(() => {
        isPending = false;
      });
      // It may never end.
      const inTime = withTimeout(PROBE_DEADLINE_MS, probed, `Cannot write to the store in ${PROBE_DEADLINE_MS} ms`);
      latest = { at: performance.now(), failure: inTime.then(() => undefined, asHuiyuanError) };
    }
    return latest.failure;
  }

  return async () => {
    const failure = isDraining() ? undefined : await storeFailure();
    // The stop may have begun during the probe.
    if (isDraining()) return { isReady: false, notes: ["the server is shutting down", ...notes()] };
    if (failure === undefined) return { isReady: true, notes: notes() };
    if (failure.code !== "store_full")
      return { isReady: false, notes: [`the store cannot be written (${failure.code})`, ...notes()] };
    return { isReady: true, notes: [`no room to store more (${failure.code}); serving goes on`, ...notes()] };
  };
}

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

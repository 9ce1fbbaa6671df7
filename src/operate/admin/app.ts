// Every route of the admin port, as a Hono application, and the checks before them. Its onError is the only place where
// an error becomes an answer. The port answers only to its own names, so that a web page cannot reach a loopback port
// by DNS rebinding.

import type { IncomingMessage, ServerResponse } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { type Context, Hono, type MiddlewareHandler } from "hono";
import type { Log } from "../../core/log.ts";
import type { ApiEnv } from "./calls.ts";
import type { Console } from "./console.ts";
import type { Readiness } from "./readiness.ts";

export interface AdminOptions {
  /**
   * The host names and addresses that the port answers to, in lower case and without brackets. Undefined: all, because
   * a token protects it.
   */
  readonly allowedHosts: () => ReadonlySet<string> | undefined;
  /** `recognize` counts sessions on any path; `guard` refuses calls and metrics without a session or the token. */
  readonly access: Record<"guard" | "recognize", MiddlewareHandler<ApiEnv>>;
  readonly readiness: () => Promise<Readiness>;
  readonly metrics: () => Promise<{ readonly mediaType: string; readonly text: string }>;
  /** Undefined if it was not built. */
  readonly console: Console | undefined;
  /** Adds the page of `huiyuan try`; servers have none. */
  readonly addTrial?: ((app: Hono<ApiEnv>) => void) | undefined;
  /** Its paths begin with /api/. */
  readonly api: Hono<ApiEnv>;
  readonly nextRequestId: () => string;
  readonly version: string;
  readonly log: Log;
}

/** Creates the `request` listener of the admin port. */
export function createAdminApp(options: AdminOptions): (request: IncomingMessage, response: ServerResponse) => void {
  const { api, access, console, addTrial, readiness, metrics, version, nextRequestId, log } = options;
  const app = new Hono<ApiEnv>();
  app.use(ownNames(options));
  app.use(access.recognize);
  app.use("/metrics", access.guard);
  app.use("/api/*", access.guard);
  app.route("/", api);
  addTrial?.(app);
  app.use(reads);
  app.get("/healthz", (context) => context.json({ status: "alive", version }));
  app.get("/readyz", async (context) => {
    const { isReady, notes } = await readiness();
    return context.json({ status: isReady ? "ready" : "not ready", notes }, isReady ? 200 : 503);
  });
  app.get("/metrics", async (context) => {
    const { mediaType, text } = await metrics();
    return context.body(text, 200, { "Content-Type": mediaType });
  });
  const missing = (context: Context<ApiEnv>) => context.json(refusalOf(context, -106, "no such page; see /"), 404);
  if (console !== undefined) {
    app.get(
      "/console/:name",
      async (context) => (await console.file(context, context.req.param("name"))) ?? missing(context),
    );
    // Pages of the console have paths of their own, which a browser may open first.
    const document = (context: Context<ApiEnv>) => console.document(context, addTrial !== undefined);
    app.get("/", document);
    app.get("*", (context, next) =>
      context.req.header("accept")?.includes("text/html") === true ? document(context) : next(),
    );
  }
  app.notFound(missing);
  app.onError((error, context) => {
    log.error({ err: error, requestId: context.get("requestId") }, "an admin request failed");
    return context.json(refusalOf(context, -100, "internal server error"), 500);
  });
  return getRequestListener(app.fetch, {
    overrideGlobalObjects: false,
    // HTTP/1.0 may omit Host, as health checks of load balancers do. The guards check such a request too.
    hostname: "localhost",
    // The only errors here are a Host or a target that is no valid URL.
    errorHandler: () => unreadable(nextRequestId()),
  });
}

/** Every answer has them, so that no page can lack them. Nothing is loaded from elsewhere, and nothing may embed us. */
const PAGE_HEADERS = [
  [
    "Content-Security-Policy",
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
      "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  ],
  ["Referrer-Policy", "no-referrer"],
  ["X-Frame-Options", "DENY"],
] as const;

/** Refuses requests to other names than the port's own, and those from pages of other sites. */
function ownNames({ nextRequestId, allowedHosts }: AdminOptions): MiddlewareHandler<ApiEnv> {
  return async (context, next) => {
    const requestId = nextRequestId();
    context.set("requestId", requestId);
    context.header("X-Request-Id", requestId);
    context.header("X-Content-Type-Options", "nosniff");
    context.header("Cache-Control", "no-store");
    for (const [name, value] of PAGE_HEADERS) context.header(name, value);
    context.set("isAllowed", () => false);
    // Nothing reads such a body, and the next request would wait for its end.
    if (isRead(context) && hasBody(context)) context.header("Connection", "close");
    const host = context.req.header("host") ?? "";
    if (allowedHosts()?.has(hostName(host)) === false)
      return context.json(refusalOf(context, -107, "this port answers only to its own names"), 421);
    if (isOfOtherSite(context, host))
      return context.json(refusalOf(context, -103, "requests from other sites are refused"), 403);
    return next();
  };
}

const reads: MiddlewareHandler<ApiEnv> = async (context, next) => {
  if (isRead(context)) return next();
  context.header("Allow", "GET, HEAD");
  return context.json(refusalOf(context, -103, "only GET and HEAD are served here"), 405);
};

export function isRead({ req }: Context<ApiEnv>): boolean {
  return req.method === "GET" || req.method === "HEAD";
}

function hasBody({ req }: Context<ApiEnv>): boolean {
  return req.header("content-length") !== undefined || req.header("transfer-encoding") !== undefined;
}

/** A page of another port or site may link to the console, but not call the API: a GET may fetch from an origin. */
function isOfOtherSite({ req }: Context<ApiEnv>, host: string): boolean {
  const origin = req.header("origin");
  if (origin !== undefined && origin.replace(/^https?:\/\//, "").toLowerCase() !== host.toLowerCase()) return true;
  if (["same-origin", "none", undefined].includes(req.header("sec-fetch-site"))) return false;
  return req.header("sec-fetch-mode") !== "navigate" || req.path.startsWith("/api/");
}

export function refusalOf(context: Context<ApiEnv>, code: number, message: string): object {
  return { code, message, requestId: context.get("requestId") };
}

/** The answer to a request whose Host or target is no valid URL. Nothing reads its body. */
function unreadable(requestId: string): Response {
  const headers = { "X-Request-Id": requestId, "X-Content-Type-Options": "nosniff", Connection: "close" };
  const body = { code: -103, message: "the request is not valid", requestId };
  return Response.json(body, { status: 400, headers: { ...headers, "Cache-Control": "no-store" } });
}

/** `[::1]:8081` → `::1`, `localhost:8081` → `localhost`. */
function hostName(host: string): string {
  return host
    .replace(/:\d+$/, "")
    .replace(/^\[|\]$/g, "")
    .replace(/\.$/, "")
    .toLowerCase();
}

// The admin port: health, readiness, metrics and the admin API. It answers only to its own names, so that a web page
// cannot reach a loopback port by DNS rebinding. The console will be served here.
import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { type Context, Hono, type MiddlewareHandler } from "hono";
import type { Log } from "../../core/log.ts";
import type { ApiEnv } from "../api/calls.ts";
import type { Readiness } from "./readiness.ts";

export interface AdminOptions {
  /**
   * The host names and addresses that the port answers to, in lower case and without brackets. Undefined: all, because
   * a token protects it.
   */
  readonly allowedHosts: () => ReadonlySet<string> | undefined;
  /** If set, required for all paths except health. */
  readonly token: () => string | undefined;
  readonly readiness: () => Promise<Readiness>;
  readonly metrics: () => Promise<{ readonly mediaType: string; readonly text: string }>;
  /** Its paths begin with /api/. */
  readonly api: Hono<ApiEnv>;
  readonly nextRequestId: () => string;
  readonly version: string;
  readonly log: Log;
}

/** The `request` listener of the admin port. */
export function createAdmin(options: AdminOptions): (request: IncomingMessage, response: ServerResponse) => void {
  const app = new Hono<ApiEnv>();
  const refuse = (context: Context<ApiEnv>, code: number, message: string) => ({
    code,
    message,
    requestId: context.get("requestId"),
  });
  app.use(async (context, next) => {
    const requestId = options.nextRequestId();
    context.set("requestId", requestId);
    context.header("X-Request-Id", requestId);
    context.header("X-Content-Type-Options", "nosniff");
    context.header("Cache-Control", "no-store");
    const host = context.req.header("host") ?? "";
    if (options.allowedHosts()?.has(hostName(host)) === false) {
      return context.json(refuse(context, -107, "this port answers only to its own names"), 421);
    }
    const origin = context.req.header("origin");
    if (origin !== undefined && origin.replace(/^https?:\/\//, "").toLowerCase() !== host.toLowerCase()) {
      return context.json(refuse(context, -103, "requests from other sites are refused"), 403);
    }
    return next();
  });
  const needsToken: MiddlewareHandler<ApiEnv> = async (context, next) => {
    if (isAuthorized(context.req.header("authorization"), options.token())) return next();
    context.header("WWW-Authenticate", "Bearer");
    return context.json(refuse(context, -81, "the admin token is required: Authorization: Bearer …"), 401);
  };
  app.use("/metrics", needsToken);
  app.use("/api/*", needsToken);
  app.route("/", options.api);
  app.use(async (context, next) => {
    if (context.req.method === "GET" || context.req.method === "HEAD") return next();
    context.header("Allow", "GET, HEAD");
    return context.json(refuse(context, -103, "only GET and HEAD are served here"), 405);
  });
  app.get("/healthz", (context) => context.json({ status: "alive", version: options.version }));
  app.get("/readyz", async (context) => {
    const { isReady, notes } = await options.readiness();
    return context.json({ status: isReady ? "ready" : "not ready", notes }, isReady ? 200 : 503);
  });
  app.get("/metrics", async (context) => {
    const { mediaType, text } = await options.metrics();
    return context.body(text, 200, { "Content-Type": mediaType });
  });
  app.get("/", (context) => context.html(page(options.version)));
  app.notFound((context) => context.json(refuse(context, -106, "no such page; see /"), 404));
  app.onError((error, context) => {
    const requestId = context.get("requestId");
    options.log.error({ err: error, requestId }, "an admin request failed");
    return context.json(refuse(context, -100, "internal server error"), 500);
  });
  return getRequestListener(app.fetch, {
    overrideGlobalObjects: false,
    // HTTP/1.0 may omit Host, as health checks of load balancers do. The handlers above check such a request too.
    hostname: "localhost",
    // The only errors here are a Host or a target that is no valid URL.
    errorHandler: () => unreadable(options.nextRequestId()),
  });
}

function unreadable(requestId: string): Response {
  const headers = { "X-Request-Id": requestId, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store" };
  return Response.json({ code: -103, message: "the request is not valid", requestId }, { status: 400, headers });
}

/** `[::1]:8081` → `::1`, `localhost:8081` → `localhost`. */
function hostName(host: string): string {
  return host
    .replace(/:\d+$/, "")
    .replace(/^\[|\]$/g, "")
    .replace(/\.$/, "")
    .toLowerCase();
}

/** Compares in constant time, and by hash, so that the time does not reveal the length of the token either. */
function isAuthorized(header: string | undefined, token: string | undefined): boolean {
  if (token === undefined) return true;
  const given = /^Bearer (.+)$/i.exec(header ?? "")?.[1] ?? "";
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(token));
}

function page(version: string): string {
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Huiyuan</title>
<h1>Huiyuan ${version}</h1>
<ul><li><a href="/healthz">/healthz</a> the process is alive</li><li><a href="/readyz">/readyz</a> the server is ready</li>
<li><a href="/metrics">/metrics</a> Prometheus series</li></ul></html>
`;
}

// The checks and the first page of the admin port; http/app.ts lists its routes. The port answers only to its own
// names, so that a web page cannot reach a loopback port by DNS rebinding.
import { createHash, timingSafeEqual } from "node:crypto";
import type { Context, Hono, MiddlewareHandler } from "hono";
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

/** The checks before the routes of the admin port. */
export function adminGuards(
  options: Pick<AdminOptions, "allowedHosts" | "token" | "nextRequestId">,
): Record<"ownNames" | "token" | "reads", MiddlewareHandler<ApiEnv>> {
  return {
    async ownNames(context, next) {
      const requestId = options.nextRequestId();
      context.set("requestId", requestId);
      context.header("X-Request-Id", requestId);
      context.header("X-Content-Type-Options", "nosniff");
      context.header("Cache-Control", "no-store");
      const host = context.req.header("host") ?? "";
      if (options.allowedHosts()?.has(hostName(host)) === false) {
        return context.json(refusalOf(context, -107, "this port answers only to its own names"), 421);
      }
      const origin = context.req.header("origin");
      if (origin !== undefined && origin.replace(/^https?:\/\//, "").toLowerCase() !== host.toLowerCase()) {
        return context.json(refusalOf(context, -103, "requests from other sites are refused"), 403);
      }
      return next();
    },
    async token(context, next) {
      if (isAuthorized(context.req.header("authorization"), options.token())) return next();
      context.header("WWW-Authenticate", "Bearer");
      return context.json(refusalOf(context, -81, "the admin token is required: Authorization: Bearer …"), 401);
    },
    async reads(context, next) {
      if (context.req.method === "GET" || context.req.method === "HEAD") return next();
      context.header("Allow", "GET, HEAD");
      return context.json(refusalOf(context, -103, "only GET and HEAD are served here"), 405);
    },
  };
}

export function refusalOf(context: Context<ApiEnv>, code: number, message: string): object {
  return { code, message, requestId: context.get("requestId") };
}

/** The answer to a request whose Host or target is no valid URL. */
export function unreadable(requestId: string): Response {
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

export function page(version: string): string {
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Huiyuan</title>
<h1>Huiyuan ${version}</h1>
<ul><li><a href="/healthz">/healthz</a> the process is alive</li><li><a href="/readyz">/readyz</a> the server is ready</li>
<li><a href="/metrics">/metrics</a> Prometheus series</li></ul></html>
`;
}

// Lets holders of the admin token use the admin port, and browsers that have logged in with it. Wrong tokens are
// slowed. The operation log has logins, logouts and refusals. app.ts checks Host and Origin before.
import { setTimeout as delay } from "node:timers/promises";
import type { Context, MiddlewareHandler } from "hono";
import { deleteCookie, setCookie } from "hono/cookie";
import type { Log } from "../../core/log.ts";
import { addressOf, isTrusted } from "../../serve/http/request/client-address.ts";
import { isRead, refusalOf } from "./app.ts";
import { auditOf, entryOf } from "./audit.ts";
import type { ApiEnv } from "./calls.ts";
import { type ConnectionLimit, createConnectionLimit } from "./connection-limit.ts";
import type { SessionAnswer } from "./contract/contract.ts";
import type { Operation, OperationName } from "./operation.ts";
import { createSessions, isSameSecret, type Session } from "./sessions.ts";

export interface AccessOptions {
  /** The admin token in force; undefined: everyone who reaches the port may use it. */
  readonly token: () => string | undefined;
  /** As `server.trustedProxies`: their X-Forwarded-For and X-Forwarded-Proto are believed. */
  readonly trustedProxies: () => readonly string[];
  /** The operation log. */
  readonly operations: { record(operation: Operation): void };
  /** Milliseconds, never set back. */
  readonly clock: () => number;
  readonly log: Log;
}

export interface Access {
  /** Must be called for each new connection of the port. */
  readonly opened: ConnectionLimit["open"];
  /** Lets all requests pass. A session on any path counts as a use of it and of its connection. */
  readonly recognize: MiddlewareHandler<ApiEnv>;
  /** Lets requests with the token or a session pass, and all requests to `SESSION_PATH`. */
  readonly guard: MiddlewareHandler<ApiEnv>;
  stateOf(context: Context<ApiEnv>): SessionAnswer;
  /** Answers with the new SessionAnswer and its cookie, or refuses a wrong token. */
  login(context: Context<ApiEnv>, token: string): Promise<Response>;
  logout(context: Context<ApiEnv>): SessionAnswer;
  /** Ends all sessions, because the token has changed. */
  endAll(): void;
}

/** Open to all, because a browser that has no session asks and logs in here. */
const SESSION_PATH = "/api/v1/session";

const COOKIE = "huiyuan_session";
/** A cookie of that name, with or without the prefix, whose value has the form of an id. */
const COOKIES = /(?<=^|;)\s*(?:__Host-)?huiyuan_session="?([\w-]{43})"?\s*(?=;|$)/g;
/** Wrong tokens that are answered at once. Later ones wait, and get 429. */
const FREE_FAILURES = 5;
const HOLD_MS = 1_000;
/** Failures are forgotten if none has come for this time. */
const FORGET_MS = 30_000;
/** Refusals have one entry in the operation log in this time, so that a flood of them displaces nothing. */
const RECORD_MS = 1_000;

export function createAccess({ token, trustedProxies, operations, clock, log }: AccessOptions): Access {
  const sessions = createSessions(clock);
  const connections = createConnectionLimit();
  // One count for all clients: the right token and sessions always pass, so nobody can lock out another one, and an
  // attacker with many addresses gains nothing.
  let failures = 0;
  let failedAt = Number.NEGATIVE_INFINITY;
  let recordedAt = Number.NEGATIVE_INFINITY;

  /** Every cookie is tried: a page on another port of this host may have set one, and browsers send all of them. */
  function sessionsOf(context: Context<ApiEnv>): readonly Session[] {
    const cookies = context.req.header("cookie") ?? "";
    const found = [...cookies.matchAll(COOKIES)].flatMap(([, id = ""]) => sessions.find(id) ?? []);
    if (found.length > 0) connections.release(context.env.incoming?.socket);
    return found;
  }

  function admit(context: Context<ApiEnv>, next: () => Promise<void>, isAllowed: () => boolean): Promise<void> {
    connections.release(context.env.incoming?.socket);
    context.set("isAllowed", isAllowed);
    return next();
  }

  /** A browser tells by its Origin that it has a TLS connection; a proxy by X-Forwarded-Proto. */
  function isOverTls(context: Context<ApiEnv>): boolean {
    if (context.req.header("origin")?.startsWith("https://") === true) return true;
    const proxy = context.env.incoming?.socket.remoteAddress ?? "";
    return isTrusted(proxy, trustedProxies()) && context.req.header("x-forwarded-proto")?.toLowerCase() === "https";
  }

  function record(context: Context<ApiEnv>, operation: OperationName, code: number, message: string): void {
    operations.record({ ...entryOf(context, operation), code, message });
    auditOf(context, log, { operation })(code === 0 ? "done" : "failed", {});
  }

  async function refuse(context: Context<ApiEnv>): Promise<Response> {
    const at = clock();
    failures = at < failedAt + FORGET_MS ? failures + 1 : 1;
    failedAt = at;
    if (at >= recordedAt + RECORD_MS) {
      recordedAt = at;
      record(context, "login", -81, `wrong admin token, number ${failures} in a row`);
    }
    if (failures <= FREE_FAILURES) return unauthorized(context, "the admin token is wrong");
    await delay(HOLD_MS, undefined, { ref: false });
    const seconds = FORGET_MS / 1_000;
    context.header("Retry-After", String(seconds));
    const message = `too many wrong admin tokens: wait ${seconds} s; the right one is accepted at once`;
    return context.json(refusalOf(context, -81, message), 429);
  }

  return {
    opened: connections.open,
    recognize(context, next) {
      sessionsOf(context);
      return next();
    },
    async guard(context, next) {
      const { incoming } = context.env;
      if (incoming !== undefined) context.set("client", addressOf(incoming, trustedProxies()));
      const wanted = token();
      if (context.req.path === SESSION_PATH) return next();
      if (wanted === undefined) return admit(context, next, () => token() === undefined);
      const given = /^Bearer (.+)$/i.exec(context.req.header("authorization") ?? "")?.[1];
      if (given !== undefined && isSameSecret(given, wanted)) return admit(context, next, () => token() === wanted);
      const own = sessionsOf(context);
      if (own.length === 0)
        return given === undefined
          ? unauthorized(context, "the admin token is required: Authorization: Bearer …")
          : refuse(context);
      const sent = context.req.header("x-csrf-token") ?? "";
      if (isRead(context) || own.some(({ csrfToken }) => isSameSecret(sent, csrfToken)))
        return admit(context, next, () => own.some(({ id }) => sessions.find(id) !== undefined));
      return context.json(refusalOf(context, -103, "X-CSRF-Token is missing or not that of the session"), 403);
    },
    stateOf(context) {
      if (token() === undefined) return { isOpen: true };
      const [session] = sessionsOf(context);
      return { isOpen: session !== undefined, csrfToken: session?.csrfToken };
    },
    async login(context, given) {
      const wanted = token();
      if (wanted === undefined) return context.json({ isOpen: true });
      if (!isSameSecret(given, wanted)) return refuse(context);
      for (const earlier of sessionsOf(context)) sessions.end(earlier.id);
      connections.release(context.env.incoming?.socket);
      const { id, csrfToken } = sessions.begin();
      const isSecure = isOverTls(context);
      const attributes = { httpOnly: true, sameSite: "Strict", path: "/", secure: isSecure } as const;
      setCookie(context, COOKIE, id, { ...attributes, ...(isSecure && { prefix: "host" }) });
      record(context, "login", 0, "SUCCESS");
      return context.json({ isOpen: true, csrfToken });
    },
    logout(context) {
      const own = sessionsOf(context);
      for (const { id } of own) sessions.end(id);
      if (own.length > 0) {
        deleteCookie(context, COOKIE);
        deleteCookie(context, COOKIE, { prefix: "host", secure: true });
        record(context, "logout", 0, "SUCCESS");
      }
      return { isOpen: token() === undefined };
    },
    endAll: sessions.endAll,
  };
}

function unauthorized(context: Context<ApiEnv>, message: string): Response {
  context.header("WWW-Authenticate", "Bearer");
  return context.json(refusalOf(context, -81, message), 401);
}

// The audit log: one line for each call that changes something, with client, operation and outcome. A line contains no
// token and no query.
import type { Context } from "hono";
import type { Log } from "../../core/log.ts";
import { redactTarget } from "../../sign/redact.ts";
import type { ApiEnv } from "./env.ts";

/** Writes the line; called once a call. `left`: the caller disconnected. */
export type Audit = (outcome: "done" | "failed" | "left", counts: object) => void;

/** `what`: the operation and its parameters. */
export function auditOf(context: Context<ApiEnv>, log: Log, what: { readonly operation: string }): Audit {
  const client = context.env.incoming?.socket.remoteAddress ?? "this machine";
  const requestId = context.get("requestId");
  return (outcome, counts) => log.info({ audit: what, outcome, ...counts, client, requestId }, "an admin call");
}

/** An object name or prefix for logs: redacted, a URL without its query, at most 200 characters. */
export function loggedName(name: string): string {
  const text = redactTarget(name);
  return (/^https?:\/\//i.test(text) ? (text.split("?", 1)[0] ?? "") : text).slice(0, 200);
}

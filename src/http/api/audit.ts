// One log line for each call that changes something: who, what, how it ended. It never holds a token or a query.
import type { Context } from "hono";
import type { Log } from "../../core/log.ts";
import { redactTarget } from "../../sign/redact.ts";
import type { ApiEnv } from "./env.ts";

/** Written once, whether the call has ended well, failed, or was left by its caller. */
export type Audit = (outcome: "done" | "failed" | "left", counts: object) => void;

/** `what`: the operation and what it was given. */
export function auditOf(context: Context<ApiEnv>, log: Log, what: { readonly operation: string }): Audit {
  const client = context.env.incoming?.socket.remoteAddress ?? "this machine";
  const requestId = context.get("requestId");
  return (outcome, counts) => log.info({ audit: what, outcome, ...counts, client, requestId }, "an operator's order");
}

/** The name of an object as it may be logged, or how names begin: what redactTarget() leaves, of a URL without its query. */
export function loggedName(name: string): string {
  const text = redactTarget(name);
  return (/^https?:\/\//i.test(text) ? (text.split("?", 1)[0] ?? "") : text).slice(0, 200);
}

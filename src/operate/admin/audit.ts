// The audit log: one line for each call that changes something, with client, operation and outcome. The operation log
// shows it to operators. A line contains no token and no query. The answer to a call on many objects is streamed here,
// so that it is logged however it ends.
import type { Context } from "hono";
import { asHuiyuanError, errorRow, type HuiyuanError, isServerFailure } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import { redactTarget } from "../../serve/sign/redact.ts";
import type { ApiEnv } from "./calls.ts";
import { OPERATION_NUMBERS, type Operation, type OperationName } from "./operation.ts";

/** Writes the line; called once a call. `left`: the caller disconnected. */
export type Audit = (outcome: "done" | "failed" | "left", counts: object) => void;

/** An entry of the operation log about a call that has succeeded, and concerns no image. */
export function entryOf(context: Context<ApiEnv>, operation: OperationName): Operation {
  return {
    ...{ at: Date.now(), bucketId: "", operation, fileid: "", code: 0, message: "SUCCESS", bytes: 0 },
    url: context.req.path,
    client: context.get("client") ?? "this machine",
    userAgent: context.req.header("user-agent") ?? "",
    requestId: context.get("requestId"),
  };
}

/** `what`: the operation and its parameters. */
export function auditOf(context: Context<ApiEnv>, log: Log, what: { readonly operation: string }): Audit {
  return (outcome, counts) => {
    const entry = entryOf(context, "change");
    const { client, requestId } = entry;
    log.info({ audit: what, outcome, ...counts, client, requestId }, "an admin call");
    // Deletes, for example, have an entry for each object, and logins one of their own.
    if (what.operation in OPERATION_NUMBERS) return;
    const code = outcome === "done" ? 0 : -100;
    context.get("record")?.({ ...entry, code, message: `${what.operation}, ${outcome}` });
  };
}

/** The result of a change. If it fails, the line says so, and the error is thrown. */
export async function unlessFailed<Result>(audit: Audit, change: () => Result | Promise<Result>): Promise<Result> {
  try {
    return await change();
  } catch (error) {
    audit("failed", {});
    throw error;
  }
}

/** An object name or prefix for logs: redacted, a URL without its query, at most 200 characters. */
export function loggedName(name: string): string {
  const text = redactTarget(name);
  return (/^https?:\/\//i.test(text) ? (text.split("?", 1)[0] ?? "") : text).slice(0, 200);
}

/**
 * Operators see the full message, unlike clients of the download port. Internal errors show only their public text; the
 * log has the details.
 */
export function messageOf(error: HuiyuanError): string {
  return isServerFailure(error) ? errorRow(error.code).text : error.message;
}

/** The error body of the admin API. */
export function problemOf(error: HuiyuanError, requestId: string): object {
  return { code: errorRow(error.code).errNo, message: messageOf(error), requestId };
}

const QUIET_MS = 15_000;
const MEDIA_TYPE = "application/x-ndjson; charset=utf-8";

/**
 * Streams the answer to a call on many objects: a JSON object a line. The last one is `{ end }` with the counts, or
 * `{ error }`. Writes one line to the audit log. `counts`: updated by `lines` while they are produced. Lines are
 * produced as fast as the client reads. If it disconnects, their signal aborts and the generator is closed.
 */
export function auditedStream(
  context: Context<ApiEnv>,
  { audit, counts }: { readonly audit: Audit; readonly counts: object },
  lines: (signal: AbortSignal) => AsyncGenerator<object, void, undefined>,
): Response {
  const gone = new AbortController();
  async function* audited(): AsyncGenerator<object, void, undefined> {
    let outcome: Parameters<Audit>[0] = "left";
    let last: object = { end: counts };
    try {
      yield* lines(gone.signal);
      if (!gone.signal.aborted) outcome = "done";
    } catch (error) {
      if (!gone.signal.aborted) outcome = "failed";
      last = { error: problemOf(asHuiyuanError(error), context.get("requestId")) };
    } finally {
      audit(outcome, counts);
    }
    yield last;
  }
  return context.body(ndjson(audited(), gone), 200, { "Content-Type": MEDIA_TYPE });
}

/** An empty line every 15 s keeps a quiet connection open. */
function ndjson(all: AsyncGenerator<object, void, undefined>, gone: AbortController): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let quiet: NodeJS.Timeout | undefined;
  return new ReadableStream<Uint8Array>({
    start(controller) {
      const isWaiting = () => (controller.desiredSize ?? 0) > 0;
      quiet = setInterval(() => isWaiting() && controller.enqueue(encoder.encode("\n")), QUIET_MS);
    },
    async pull(controller) {
      const { value } = await all.next();
      if (gone.signal.aborted) return;
      if (value !== undefined) return controller.enqueue(encoder.encode(`${JSON.stringify(value)}\n`));
      clearInterval(quiet);
      controller.close();
    },
    async cancel(reason) {
      clearInterval(quiet);
      gone.abort(reason);
      await all.return();
    },
  });
}

/** The number of names and the first one, redacted for the log. */
export function loggedNames(names: readonly string[]): object {
  return { names: names.length, first: loggedName(names[0] ?? "") };
}

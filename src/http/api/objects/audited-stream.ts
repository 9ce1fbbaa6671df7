// Streams the answer to a call on many objects: a line for each object, a last line with the counts, and one line in
// the audit log, however the call ends.
import type { Context } from "hono";
import { type Audit, loggedName } from "../audit.ts";
import type { ApiEnv } from "../env.ts";
import { ndjson } from "../ndjson.ts";
import { problemOf } from "../problem.ts";

/** `counts`: updated by `lines` while they are produced. */
export function auditedStream(
  context: Context<ApiEnv>,
  { audit, counts }: { readonly audit: Audit; readonly counts: object },
  lines: (signal: AbortSignal) => AsyncGenerator<object, void, undefined>,
): Response {
  const run = async function* (signal: AbortSignal): AsyncGenerator<object, void, undefined> {
    let outcome: Parameters<Audit>[0] = "left";
    try {
      yield* lines(signal);
      if (!signal.aborted) outcome = "done";
    } catch (error) {
      if (!signal.aborted) outcome = "failed";
      throw error;
    } finally {
      audit(outcome, counts);
    }
    yield { end: counts };
  };
  return ndjson(context, run, (error) => ({ error: problemOf(error, context.get("requestId")) }));
}

/** The number of names and the first one, redacted for the log. */
export function loggedNames(names: readonly string[]): object {
  return { names: names.length, first: loggedName(names[0] ?? "") };
}

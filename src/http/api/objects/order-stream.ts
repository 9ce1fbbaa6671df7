// The answer to an order about many objects: a line for each, a last one with the counts, and a note in the log however it ends.
import type { Context } from "hono";
import { type Audit, loggedName } from "../audit.ts";
import type { ApiEnv } from "../env.ts";
import { ndjson } from "../ndjson.ts";
import { problemOf } from "../problem.ts";

/** `counts`: counted up while the lines are made. */
export function orderStream(
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

/** Names as the log may have them. */
export function loggedNames(names: readonly string[]): object {
  return { names: names.length, first: loggedName(names[0] ?? "") };
}

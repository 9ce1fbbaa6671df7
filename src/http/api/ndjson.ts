// Streams an answer of many lines, one JSON object each. It produces lines as fast as the client reads, and stops when
// the client disconnects. An empty line every 15 s keeps a quiet connection open.
import type { Context } from "hono";
import { asHuiyuanError, type HuiyuanError } from "../../core/errors.ts";
import type { ApiEnv } from "./env.ts";

const QUIET_MS = 15_000;
const MEDIA_TYPE = "application/x-ndjson; charset=utf-8";

/**
 * `lines` is called once. If the client disconnects, its signal aborts and the generator is closed. An error of it
 * becomes the last line, as `describe` returns it.
 */
export function ndjson(
  context: Context<ApiEnv>,
  lines: (signal: AbortSignal) => AsyncGenerator<object, void, undefined>,
  describe: (error: HuiyuanError) => object,
): Response {
  const cancellation = new AbortController();
  const iterator = lines(cancellation.signal);
  const encoder = new TextEncoder();
  let next: Promise<IteratorResult<object, void>> | undefined;
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        next ??= iterator.next();
        const result = await orQuiet(next);
        if (result === "quiet") {
          controller.enqueue(encoder.encode("\n"));
          return;
        }
        next = undefined;
        if (result.done === true) controller.close();
        else controller.enqueue(encoder.encode(`${JSON.stringify(result.value)}\n`));
      } catch (error) {
        if (cancellation.signal.aborted) return;
        controller.enqueue(encoder.encode(`${JSON.stringify(describe(asHuiyuanError(error)))}\n`));
        controller.close();
      }
    },
    async cancel(reason) {
      cancellation.abort(reason);
      await iterator.return().catch(() => undefined); // The client is gone, so no one can receive the error.
    },
  });
  return context.body(body, 200, { "Content-Type": MEDIA_TYPE });
}

async function orQuiet<Value>(promise: Promise<Value>): Promise<Value | "quiet"> {
  let timer: NodeJS.Timeout | undefined;
  const quiet = new Promise<"quiet">((resolve) => {
    timer = setTimeout(() => resolve("quiet"), QUIET_MS);
  });
  try {
    return await Promise.race([promise, quiet]);
  } finally {
    clearTimeout(timer);
  }
}

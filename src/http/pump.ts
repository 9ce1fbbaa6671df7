// Moves bytes from a source that is read by offset to a client, at the client's speed. Breaks the connection, never
// ends it cleanly, when the bytes do not come.
import type { ServerResponse } from "node:http";
import { HuiyuanError } from "../errors.ts";

/** Some bytes from `offset` on, up to `end` inclusive where there are so many; undefined at the end of the body. */
export type ReadAt = (offset: number, end: number) => Promise<Buffer | undefined> | Buffer | undefined;

/** A client that takes nothing for so long is let go. Milliseconds. */
const STALL_MS = 30_000;

/**
 * Writes `start` to `end` (inclusive; Infinity: to the end of the body) without ending the response. Throws what the
 * source throws, and client_gone when the client has left or takes nothing; the caller then destroys the response.
 */
export async function pump(
  response: ServerResponse,
  read: ReadAt,
  span: { readonly start: number; readonly end: number },
  client: AbortSignal,
): Promise<void> {
  let offset = span.start;
  while (offset <= span.end) {
    client.throwIfAborted();
    const ready = read(offset, span.end);
    const chunk = ready instanceof Promise ? await ready : ready;
    if (chunk === undefined) break;
    const wanted = span.end - offset + 1;
    const part = chunk.byteLength > wanted ? chunk.subarray(0, wanted) : chunk;
    offset += part.byteLength;
    if (!response.write(part)) await drained(response, client);
  }
  if (offset <= span.end && span.end !== Number.POSITIVE_INFINITY) {
    throw new HuiyuanError(
      "internal",
      `Cannot go on answering: the source ended at byte ${offset}, byte ${span.end} was wanted`,
    );
  }
}

function drained(response: ServerResponse, client: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (reason?: unknown) => {
      clearTimeout(stall);
      response.off("drain", settleWell);
      client.removeEventListener("abort", leave);
      if (reason === undefined) resolve();
      else reject(reason);
    };
    const settleWell = () => settle();
    const leave = () => settle(client.reason);
    const stall = setTimeout(
      () =>
        settle(new HuiyuanError("client_gone", `Cannot go on answering: the client took nothing for ${STALL_MS} ms`)),
      STALL_MS,
    );
    response.on("drain", settleWell);
    client.addEventListener("abort", leave);
    if (client.aborted) leave();
  });
}

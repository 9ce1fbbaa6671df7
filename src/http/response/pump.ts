// Moves bytes from a source that is read by offset to a client, at the client's speed. Breaks the connection, never
// ends it cleanly, when the bytes do not come.
import { HuiyuanError } from "../../core/errors.ts";
import type { DownloadResponse } from "./response.ts";

/** Some bytes from `offset` on, up to `end` inclusive where there are so many; undefined at the end of the body. */
export type ReadAt = (offset: number, end: number) => Promise<Buffer | undefined> | Buffer | undefined;

/**
 * Writes `start` to `end` (inclusive; Infinity: to the end of the body) without ending the response. Throws what the
 * source throws, and client_gone when the client has left; the caller then destroys the response. A client that takes
 * nothing is let go by the server's own idle limit, which sees whether bytes still move.
 */
export async function pump(
  response: DownloadResponse,
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

function drained(response: DownloadResponse, client: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = () => {
      client.removeEventListener("abort", settle);
      if (client.aborted) reject(client.reason);
      else resolve();
    };
    response.onceDrained(settle);
    client.addEventListener("abort", settle);
    if (client.aborted) settle();
  });
}

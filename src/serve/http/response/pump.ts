// The bodies of responses with a known length: copies bytes from a source that is read by offset to a client, at the
// client's speed. It never ends the response.
import { HuiyuanError } from "../../../core/errors.ts";
import type { DownloadResponse } from "../request/download-response.ts";

/** Yields one or more bytes from `offset` on, at most up to `end` inclusive; undefined at the end of the body. */
export type ReadAt = (offset: number, end: number) => Promise<Buffer | undefined> | Buffer | undefined;

/**
 * Writes the bytes from `start` to `end` (inclusive; Infinity: the end of the body). Throws the errors of the source,
 * and client_gone if the client leaves; the caller then destroys the response. If a client reads nothing, the server's
 * idle limit closes the connection.
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
      `Cannot continue the response: the source ended at byte ${offset}, wanted byte ${span.end}`,
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

// Bodies of requests to S3 and of its responses: idle timeouts, and bounds on size and time.

import type { SharedSignal } from "../../../async/cancellation.ts";
import { HuiyuanError } from "../../../core/errors.ts";
import type { HttpReply } from "../../../core/http-call.ts";
import type { ByteSource } from "../remote/remote.ts";

export interface BodyBounds {
  readonly bytes: number;
  /** Milliseconds for the whole body. */
  readonly ms?: number;
}

/** Sent in chunks of this size, so that the progress of a request can be seen. Bytes. */
const CHUNK_BYTES = 262_144;

/**
 * `signal` aborts if no byte moves for `milliseconds`, and when `closing` aborts. The caller calls `end()` or reads the
 * watched reply to its end.
 */
export function createIdleTimeout(milliseconds: number, closing: SharedSignal) {
  const controller = new AbortController();
  const signal: AbortSignal = controller.signal;
  const stop = (reason: unknown) => {
    end();
    controller.abort(reason);
  };
  const timer = setTimeout(() => stop(new Error(`no progress in ${milliseconds} ms`)), milliseconds);
  // AbortSignal.any would leave a reference to each signal with `closing`, which lives as long as the program.
  const stopListening = closing.listeners.add(() => stop(closing.signal.reason));
  const end = () => {
    clearTimeout(timer);
    stopListening();
  };
  if (closing.signal.aborted) stop(closing.signal.reason);
  return {
    signal,
    end,
    async *watch(chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        timer.refresh();
        yield chunk;
        timer.refresh();
      }
    },
    /** `isTotal`: the timeout is a deadline for the whole reply. */
    async *watchReply(chunks: AsyncIterable<Buffer>, isTotal: boolean) {
      const progress = () => void (isTotal || timer.refresh());
      progress();
      try {
        for await (const chunk of chunks) {
          signal.throwIfAborted();
          progress();
          yield chunk;
          progress();
        }
      } finally {
        end();
      }
    },
  };
}

/** The chunks of a body. Throws store_failed beyond the bounds; the connection is closed then. */
async function* bounded({ body }: HttpReply, { bytes, ms = Number.POSITIVE_INFINITY }: BodyBounds) {
  const until = performance.now() + ms;
  let received = 0;
  for await (const chunk of body) {
    received += chunk.length;
    if (received > bytes) throw boundsError(`over ${bytes} bytes`);
    if (performance.now() > until) throw boundsError(`no end in ${ms} ms`);
    yield chunk;
  }
}

/** Reads and drops a body, so that its connection can be reused. Throws store_failed beyond the bounds. */
export async function discardBody(reply: HttpReply, bounds: BodyBounds): Promise<void> {
  for await (const _chunk of bounded(reply, bounds));
}

/** Throws store_failed beyond the bounds. */
export async function readText(reply: HttpReply, bounds: BodyBounds): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of bounded(reply, bounds)) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

function boundsError(found: string): HuiyuanError {
  return new HuiyuanError("store_failed", `Cannot read a response of S3: ${found}`);
}

/** All bytes of the source, in chunks of at most 256 KiB. */
export async function* chunksOf(source: ByteSource): AsyncGenerator<Buffer> {
  const end = source.size - 1;
  for (let at = 0; at <= end; at += CHUNK_BYTES) yield await source.read(at, Math.min(at + CHUNK_BYTES - 1, end));
}

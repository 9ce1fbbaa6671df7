// Bodies of requests and answers: how long nothing may move in them, and how much of an answer is read, and for how long.

import type { SharedSignal } from "../../async/shared-signals.ts";
import { HuiyuanError } from "../../core/errors.ts";
import type { ByteSource } from "../remote/remote.ts";
import type { HttpReply } from "./http-call.ts";

export interface BodyBounds {
  readonly bytes: number;
  /** Milliseconds for all of it. */
  readonly ms?: number;
}

/**
 * What comes in drops moves for ever: an answer is left that was slower than this for so long, by the time it is waited for. Clients wait
 * for it, and have no answer before it has come.
 */
const RATE_WINDOW_MS = 15_000;
const MIN_BYTES_PER_MS = 16;
/** Sent in chunks of this size, so that the progress of a request can be seen. Bytes. */
const CHUNK_BYTES = 262_144;

/** Nothing has moved for so long. */
export class IdleTimeoutError extends Error {
  readonly milliseconds: number;

  constructor(milliseconds: number) {
    super(`no progress in ${milliseconds} ms`);
    this.milliseconds = milliseconds;
  }
}

/** Aborts its signal with a Silence when nothing has moved for a while, and when `closing` aborts. To be ended, or its answer read. */
export function createIdleTimeout(milliseconds: number, closing: SharedSignal) {
  const controller = new AbortController();
  const signal: AbortSignal = controller.signal;
  const stop = (reason: unknown) => {
    end();
    controller.abort(reason);
  };
  const timer = setTimeout(() => stop(new IdleTimeoutError(milliseconds)), milliseconds);
  // AbortSignal.any would leave something of each signal with `closing`, which lives as long as the program.
  const stopListening = closing.listen(() => stop(closing.signal.reason));
  const end = () => {
    clearTimeout(timer);
    stopListening();
  };
  if (closing.signal.aborted) stop(closing.signal.reason);
  async function* watch(chunks: AsyncIterable<Buffer>) {
    for await (const chunk of chunks) {
      timer.refresh();
      yield chunk;
      timer.refresh();
    }
  }
  async function* untilEnd(chunks: AsyncIterable<Buffer>) {
    try {
      yield* chunks;
    } finally {
      end();
    }
  }
  function watchReply(chunks: AsyncIterable<Buffer>) {
    timer.refresh();
    return untilEnd(aboveMinRate(watch(chunks)));
  }
  /** Of an answer of which nothing that comes is progress. */
  async function* untilAborted(chunks: AsyncIterable<Buffer>) {
    for await (const chunk of chunks) {
      signal.throwIfAborted();
      yield chunk;
    }
  }
  return {
    signal,
    watch,
    watchReply,
    watchWhole: (chunks: AsyncIterable<Buffer>) => untilEnd(untilAborted(chunks)),
    end,
  };
}

/** Throws where so little comes that the end would not be seen. The time that the reader takes does not count. */
async function* aboveMinRate(chunks: AsyncIterable<Buffer>) {
  let waitedMs = 0;
  let bytes = 0;
  let since = performance.now();
  for await (const chunk of chunks) {
    waitedMs += performance.now() - since;
    bytes += chunk.length;
    if (waitedMs >= RATE_WINDOW_MS) {
      if (bytes < waitedMs * MIN_BYTES_PER_MS)
        throw new Error(`no more than ${bytes} bytes in ${Math.round(waitedMs / 1_000)} s`);
      // What came fast once may come in drops now.
      waitedMs = 0;
      bytes = 0;
    }
    yield chunk;
    since = performance.now();
  }
}

/** The pieces of a body; it is left, and its connection ends, where it exceeds the bounds. Throws store_failed then. */
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

/** Reads a body away, so that its connection serves again. Throws store_failed. */
export async function discardBody(reply: HttpReply, bounds: BodyBounds): Promise<void> {
  for await (const _chunk of bounded(reply, bounds));
}

/** Throws store_failed. */
export async function readBody(reply: HttpReply, bounds: BodyBounds): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of bounded(reply, bounds)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function boundsError(found: string): HuiyuanError {
  return new HuiyuanError("store_failed", `Cannot read an answer of S3: ${found}`);
}

/** Bytes `start` to `end`, both inclusive. */
export async function* chunksOf(source: ByteSource, start = 0, end = source.size - 1): AsyncGenerator<Buffer> {
  for (let at = start; at <= end; at += CHUNK_BYTES) yield await source.read(at, Math.min(at + CHUNK_BYTES - 1, end));
}

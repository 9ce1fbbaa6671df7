// Bodies of requests and answers: how long nothing may move in them, and how much of an answer is read, and for how long.
import { HuiyuanError } from "../../errors.ts";
import type { HttpReply } from "./http-call.ts";

export interface BodyBounds {
  readonly bytes: number;
  /** Milliseconds for all of it: what comes in drops moves for ever. */
  readonly ms?: number;
}

/** Aborts its signal when nothing has moved for a while. */
export function createPatience(milliseconds: number, closing: AbortSignal) {
  const controller = new AbortController();
  const signal = AbortSignal.any([controller.signal, closing]);
  const timer = setTimeout(() => controller.abort(new Error(`no progress in ${milliseconds} ms`)), milliseconds);
  async function* watch(pieces: AsyncIterable<Buffer>, isLast = false) {
    try {
      for await (const piece of pieces) {
        timer.refresh();
        yield piece;
        timer.refresh();
      }
    } finally {
      if (isLast) clearTimeout(timer);
    }
  }
  return { signal, watch, refresh: () => void timer.refresh(), end: () => clearTimeout(timer) };
}

/** The pieces of a body; it is left, and its connection ends, where it exceeds the bounds. Throws store_failed then. */
async function* within({ body }: HttpReply, { bytes, ms = Number.POSITIVE_INFINITY }: BodyBounds) {
  const until = performance.now() + ms;
  let received = 0;
  for await (const piece of body) {
    received += piece.length;
    if (received > bytes) throw tooMuch(`over ${bytes} bytes`);
    if (performance.now() > until) throw tooMuch(`no end in ${ms} ms`);
    yield piece;
  }
}

/** Reads a body away, so that its connection serves again. Throws store_failed. */
export async function readAway(reply: HttpReply, bounds: BodyBounds): Promise<void> {
  for await (const _piece of within(reply, bounds));
}

/** Throws store_failed. */
export async function readBody(reply: HttpReply, bounds: BodyBounds): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of within(reply, bounds)) pieces.push(piece);
  return Buffer.concat(pieces);
}

function tooMuch(found: string): HuiyuanError {
  return new HuiyuanError("store_failed", `Cannot read an answer of S3: ${found}`);
}

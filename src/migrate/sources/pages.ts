// Reads the documents of a listing: over an origin, so with the guard, the deadlines and the decoding of the mirror.
import type { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { HuiyuanError } from "../../core/errors.ts";
import type { Key } from "../../core/object.ts";
import type { Origin, OriginTarget } from "../../origin/origin.ts";
import { describeFailure } from "../runner/failure.ts";
import { streamOf } from "./body-stream.ts";
import { fetchFrom } from "./origins.ts";

/** A page of 1,000 names of 1,024 bytes, percent-encoded, is shorter. */
const MAX_PAGE_BYTES = 8_388_608;
const ATTEMPTS = 4;
const RETRY_MS = 500;
const MAX_RETRY_MS = 30_000;

/** The text of a page. Throws the codes of Origin.fetch(). */
export function readPage(origin: Origin, query: string, signal: AbortSignal): Promise<string> {
  return retried(signal, async () => {
    const target = { path: "" as Key, query, headers: {}, followsRedirects: false };
    const chunks: Buffer[] = [];
    for await (const chunk of await openOnce(origin, target, MAX_PAGE_BYTES, signal)) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  });
}

/** The body of a document, which may fail while it is read. Throws the codes of Origin.fetch(). */
export function openDocument(
  origin: Origin,
  target: OriginTarget,
  maxBytes: number,
  signal: AbortSignal,
): Promise<Readable> {
  return retried(signal, () => openOnce(origin, target, maxBytes, signal));
}

/** Works again after a failure that may pass. */
async function retried<Result>(signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      const { isTransient, retryAfterMs = RETRY_MS * 2 ** attempt } = describeFailure(error);
      if (!isTransient || attempt === ATTEMPTS) throw error;
      await delay(Math.min(retryAfterMs, MAX_RETRY_MS), undefined, { signal });
    }
  }
}

async function openOnce(
  origin: Origin,
  target: OriginTarget,
  maxBytes: number,
  signal: AbortSignal,
): Promise<Readable> {
  const name = target.path.split("?", 1)[0] || "the listing";
  const object = { fileid: name, locator: name };
  const answer = await fetchFrom(origin, target, { object, maxBytes, signal });
  if (answer?.isNotModified === false) return streamOf(answer.body);
  throw new HuiyuanError("origin_status", `Cannot read ${name}: status 404`, { originStatus: 404 });
}

// Reads the documents of a listing: over an origin, so with the guard, the deadlines and the decoding of the mirror.
import { setTimeout as delay } from "node:timers/promises";
import { HuiyuanError } from "../../../core/errors.ts";
import type { Key } from "../../../core/object.ts";
import type { Origin } from "../../../serve/origin/origin.ts";
import { streamOf } from "./body-stream.ts";
import { describeFailure } from "./failure.ts";
import { fetchFrom, type Place } from "./origins.ts";

/** A page of 1,000 names of 1,024 bytes, percent-encoded, is shorter. */
const MAX_PAGE_BYTES = 8_388_608;
const ATTEMPTS = 4;
const RETRY_MS = 500;
const MAX_RETRY_MS = 30_000;

/** The text of a page. Throws the codes of Origin.fetch(). */
export async function readPage(
  origin: Origin,
  query: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<string> {
  const pairs = Object.entries(query).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  const target = { path: "" as Key, query: pairs.join("&"), headers: {}, followsRedirects: false };
  return (await readDocument({ origin, target }, MAX_PAGE_BYTES, signal)).toString();
}

/** Requests the document again after a failure that may pass. Throws the codes of Origin.fetch(). */
export async function readDocument(place: Place, maxBytes: number, signal: AbortSignal): Promise<Buffer> {
  const name = place.target.path.split("?", 1)[0] || "the listing";
  for (let attempt = 1; ; attempt += 1) {
    try {
      const answer = await fetchFrom(place, { object: { fileid: name, locator: name }, maxBytes, signal });
      if (answer?.isNotModified !== false)
        throw new HuiyuanError("origin_status", `Cannot read ${name}: status 404`, { originStatus: 404 });
      const chunks: Buffer[] = [];
      for await (const chunk of streamOf(answer.body)) chunks.push(chunk);
      return Buffer.concat(chunks);
    } catch (error) {
      signal.throwIfAborted();
      const { isTransient, retryAfterMs = RETRY_MS * 2 ** attempt } = describeFailure(error);
      if (!isTransient || attempt === ATTEMPTS) throw error;
      await delay(Math.min(retryAfterMs, MAX_RETRY_MS), undefined, { signal });
    }
  }
}

/** The error of a listing that arrived and cannot be used. */
export function unusable(what: string, found: string): HuiyuanError {
  return new HuiyuanError("origin_unexpected", `Cannot list ${what}: ${found}`);
}

// Lets stat and copy use an image that only the origin has: fetches it through the bucket's first domain with a mirror,
// and continues when it is stored. It answers no call.
import { setTimeout as delay } from "node:timers/promises";
import { errorKind, HuiyuanError } from "../../../core/errors.ts";
import type { Key, ObjectInfo } from "../../../core/object.ts";
import { damageOf } from "../../mirror/fill/fill-end.ts";
import type { MissAnswer } from "../../mirror/fill/reader.ts";
import { storableFetchOf, urlTo } from "../request/object-name.ts";
import type { Site } from "../request/site.ts";
import type { ManagedBucket } from "./project.ts";

/** A call waits so long for the store after the image has arrived. Milliseconds. */
const STORING_MS = 10_000;

/** After a concurrent purge, or a delete and undelete, the call retries once; then the client must retry. */
const MAX_TRIES = 2;

type OriginFetch = NonNullable<ReturnType<typeof storableFetchOf>>;

/**
 * Calls `use` with the object of a key, after a fetch if the bucket lacks it. Returns the result of `use`, or undefined
 * if no such object exists. `use` returns undefined if the object was removed meanwhile. `signal` aborts when the
 * client disconnects. Throws store_failed, original_replaced, the signal's reason, and the codes of the mirror and of
 * `use`. Throws not_found for an image that the origin has and the bucket may not store.
 */
export async function useImage<Result>(
  bucket: ManagedBucket,
  key: Key,
  { signal, use }: { readonly signal: AbortSignal; readonly use: (info: ObjectInfo) => Promise<Result | undefined> },
): Promise<Result | undefined> {
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const found = await findOrFetch(bucket, key, signal);
    if (found === undefined) return undefined;
    const result = found === "overtaken" ? undefined : await use(found);
    if (result !== undefined) return result;
  }
  throw new HuiyuanError("original_replaced", `Cannot use "${key}": it was purged or deleted during each fetch`);
}

/** `overtaken`: a concurrent purge, delete or write of another tool prevented storing the fetched image. */
async function findOrFetch(
  { stored, mirrored }: ManagedBucket,
  key: Key,
  signal: AbortSignal,
): Promise<ObjectInfo | "overtaken" | undefined> {
  const before = await stored.bucket.lookup(key);
  if (before.state === "object") return before.info;
  // A foreign object blocks the key, so a fetched image could not be stored.
  if (before.state === "tombstone" || before.certainty === "foreign") return undefined;
  const fetch = mirrored === undefined ? undefined : originFetchOf(mirrored, key);
  if (fetch === undefined || !(await fetchAndStore(fetch, before.epoch, signal))) {
    // The store did not answer, so it may have the object.
    if (before.failure !== undefined) throw before.failure;
    return undefined;
  }
  const after = await stored.bucket.lookup(key);
  if (after.state === "object") return after.info;
  // Nothing intervened, so the write failed: the disk is full, for example.
  if (after.state === "absent" && after.certainty !== "foreign" && after.epoch === before.epoch) {
    throw new HuiyuanError("store_failed", `Cannot use "${key}": it was fetched, but the store did not take it`);
  }
  return "overtaken";
}

/** Undefined: the domain's rules fetch no such key, or would not store the answer. */
function originFetchOf(site: Site, key: Key): OriginFetch | undefined {
  try {
    const fetch = storableFetchOf(site, urlTo(site, key));
    return fetch?.request.key === key ? fetch : undefined;
  } catch {
    return undefined; // No URL of the domain has this key.
  }
}

/** False: the origin has no such image. Throws not_found if it has one that must not be stored. */
async function fetchAndStore({ mirror, request }: OriginFetch, epoch: number, signal: AbortSignal): Promise<boolean> {
  let answer: MissAnswer;
  try {
    answer = await mirror.fetch({ ...request, epoch, method: "GET", signal });
  } catch (error) {
    if (error instanceof HuiyuanError && error.code === "not_found") return false;
    // Another node has just stored it.
    if (errorKind(error) === "replaced") return true;
    throw error;
  }
  if (answer.kind === "head") return false; // Cannot happen: only a HEAD is answered so.
  try {
    const end = answer.kind === "finished" ? undefined : await answer.reader.end();
    if (damageOf(end) !== undefined) {
      throw new HuiyuanError("origin_truncated", `Cannot use "${request.key}": the origin's image is damaged`);
    }
    if (end?.kind === "failed" || end?.kind === "unstored") throw end.error;
    if (!answer.isStored())
      throw notStorable(request.key, answer.isStorable ? "the mirror has reached maxKeys" : "the origin forbids it");
  } finally {
    answer.release();
  }
  // An abort ends the wait; the write may continue.
  const waited = delay(STORING_MS, undefined, { signal, ref: false }).catch(() => undefined);
  await Promise.race([mirror.whenStored(request), waited]);
  signal.throwIfAborted();
  return true;
}

/** An absence, not a failure: the bucket will never have this image. */
function notStorable(key: Key, why: string): HuiyuanError {
  return new HuiyuanError(
    "not_found",
    `Cannot use "${key}": the origin has it, but it must not be stored here: ${why}`,
  );
}

// Images that a bucket has not mirrored yet: stat and copy of one fetch it first, through the bucket's first domain that
// has a mirror, and go on when it is stored.
import { HuiyuanError } from "../../core/errors.ts";
import type { Key, ObjectInfo } from "../../core/object.ts";
import { damageOf } from "../../mirror/fill/fill.ts";
import type { MissAnswer } from "../../mirror/fill/join.ts";
import { urlOfKey } from "../../mirror/object-keys.ts";
import { askedForKey, type OriginRequest } from "../../mirror/rules.ts";
import { missRouteOf, nameObject, type ObjectUrl } from "../request/object-name.ts";
import type { Route, Site } from "../request/site.ts";
import type { ManagedBucket } from "./project.ts";

/** How long storing may take after the image has arrived. Milliseconds. */
const STORING_MS = 10_000;

/** Who is overtaken by a purge, or by a delete and an undelete, begins anew once; who is overtaken again is told to come again. */
const MAX_TRIES = 2;

/**
 * What `use` makes of the object of a key, fetched where it has to be. Undefined: nobody has it, or it was deleted. `use` gives
 * undefined where the object has left since it was found. `signal` aborts when the client leaves. Throws store_failed,
 * original_replaced, not_found for what the origin has and the bucket may not keep, the signal's reason, and what the mirror and
 * `use` throw.
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
  throw new HuiyuanError("original_replaced", `Cannot use "${key}": it is purged or deleted as often as it is fetched`);
}

/** `overtaken`: a purge, a delete or another tool came in between, so that what was fetched was not stored. */
async function findOrFetch(
  { stored, mirrored }: ManagedBucket,
  key: Key,
  signal: AbortSignal,
): Promise<ObjectInfo | "overtaken" | undefined> {
  const before = await stored.bucket.lookup(key);
  if (before.state === "object") return before.info;
  // What the origin has could not be stored over what another tool has put there.
  if (before.state === "tombstone" || before.isForeign === true) return undefined;
  const asking = mirrored === undefined ? undefined : originFetchOf(mirrored, key);
  if (asking === undefined || !(await fetchAndStore(asking, before.epoch, signal))) {
    // The store may have it for all that anybody knows.
    if (before.failure !== undefined) throw before.failure;
    return undefined;
  }
  const after = await stored.bucket.lookup(key);
  if (after.state === "object") return after.info;
  // The disk is full, for example.
  if (after.state === "absent" && after.isForeign !== true && after.epoch === before.epoch) {
    throw new HuiyuanError("store_failed", `Cannot use "${key}": it was fetched and could not be stored`);
  }
  return "overtaken";
}

interface OriginFetch {
  readonly route: Route;
  readonly asked: OriginRequest;
}

/** Undefined where the domain's rules ask no origin for the key, or nothing of its answer would be stored. */
function originFetchOf(site: Site, key: Key): OriginFetch | undefined {
  const url = urlTo(site, key);
  if (url === undefined) return undefined;
  const object = nameObject(site, url);
  const route = missRouteOf(site, url);
  if (object.key !== key || route === undefined || route.action === "none" || route.action === "redirect") {
    return undefined;
  }
  const asked = askedForKey(route, object.request, {});
  return asked.isStored ? { route, asked } : undefined;
}

/** Undefined for keys that no URL of the domain has. */
function urlTo(site: Site, key: Key): ObjectUrl | undefined {
  try {
    const { path, query } = urlOfKey(key, site.source?.keysHaveQueries === true);
    return { host: site.domain === "*" ? "" : site.domain, path, query, method: "GET" };
  } catch {
    return undefined; // Its path would be empty, or too long.
  }
}

/** False: the origin has no such image. Throws not_found where it has one that is not to be stored. */
async function fetchAndStore(
  { route: { mirror }, asked }: OriginFetch,
  epoch: number,
  signal: AbortSignal,
): Promise<boolean> {
  const request = { ...asked, epoch, method: "GET", via: undefined, cdnLoop: undefined, signal } as const;
  let answer: MissAnswer;
  try {
    answer = await mirror.fetch(request);
  } catch (error) {
    if (error instanceof HuiyuanError && error.code === "not_found") return false;
    throw error;
  }
  if (answer.kind === "asked") return false; // Only a HEAD is answered so.
  try {
    const end = answer.kind === "finished" ? undefined : await answer.reader.end();
    if (damageOf(end) !== undefined) {
      throw new HuiyuanError("origin_truncated", `Cannot use "${asked.key}": the origin's image is damaged`);
    }
    if (end?.kind === "failed" || end?.kind === "unstored") throw end.error;
    if (!answer.isStored())
      throw notStorable(asked.key, answer.isStorable ? "the mirror has its maxKeys" : "the origin forbids it");
  } finally {
    answer.release();
  }
  await untilStored(mirror.settled(asked), signal);
  signal.throwIfAborted();
  return true;
}

/** Nothing has failed: the bucket has no such image, and will have none. */
function notStorable(key: Key, why: string): HuiyuanError {
  return new HuiyuanError("not_found", `Cannot use "${key}": the origin has it, and it is not kept here: ${why}`);
}

/** Storing may go on behind it. A timer of its own: node collects an AbortSignal.timeout() that only AbortSignal.any() knows. */
function untilStored(settled: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, STORING_MS);
    signal.addEventListener("abort", end);
    void settled.then(end);
    if (signal.aborted) end();
  });
}

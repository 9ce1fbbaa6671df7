// Images that a bucket has not mirrored yet: stat and copy of one fetch it first, through the bucket's first domain that
// has a mirror, and go on when it is stored.
import type { Entry } from "../../bucket/driver.ts";
import { HuiyuanError } from "../../errors.ts";
import { damageOf } from "../../mirror/fill.ts";
import type { MissAnswer } from "../../mirror/join.ts";
import { urlOfKey } from "../../mirror/object-keys.ts";
import { type Asked, askedForKey } from "../../mirror/rules.ts";
import type { Key } from "../../object.ts";
import { missRouteOf, nameObject, type ObjectUrl } from "../object-name.ts";
import type { Route, Site } from "../site.ts";
import type { ManagedBucket } from "./project.ts";

/** How long storing may take after the image has arrived. Milliseconds. */
const STORING_MS = 10_000;

/** A fetch that a purge, or a delete and an undelete, overtakes is made anew once; who overtakes that too is told to come again. */
const MAX_FETCHES = 2;

/**
 * The object of a key, fetched where it has to be. Undefined: nobody has it, or it was deleted. `signal` aborts when the
 * client leaves. Throws store_failed, original_replaced, the signal's reason and what the mirror throws.
 */
export async function findOrFetch(
  { stored, mirrored }: ManagedBucket,
  key: Key,
  signal: AbortSignal,
): Promise<Extract<Entry, { readonly state: "object" }> | undefined> {
  let fetchedAt: number | undefined;
  for (let fetches = 0; ; fetches += 1) {
    const entry = await stored.bucket.lookup(key);
    if (entry.state === "object") return entry;
    // What the origin has could not be stored over what another tool has put there.
    if (entry.state === "tombstone" || entry.isTaken === true) return undefined;
    // The disk is full, for example.
    if (entry.epoch === fetchedAt) {
      throw new HuiyuanError("store_failed", `Cannot use "${key}": it was fetched and could not be stored`);
    }
    if (fetches === MAX_FETCHES) {
      throw new HuiyuanError(
        "original_replaced",
        `Cannot use "${key}": it is purged or deleted as often as it is fetched`,
      );
    }
    const asking = mirrored === undefined ? undefined : askedFor(mirrored, key);
    if (asking === undefined || !(await bring(asking, entry.epoch, signal))) {
      // The store may have it for all that anybody knows.
      if (entry.failure !== undefined) throw entry.failure;
      return undefined;
    }
    fetchedAt = entry.epoch;
  }
}

interface Asking {
  readonly route: Route;
  readonly asked: Asked;
}

/** Undefined where the domain's rules ask no origin for the key, or nothing of its answer would be stored. */
function askedFor(site: Site, key: Key): Asking | undefined {
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

/** False: the origin has no such image. */
async function bring({ route: { mirror }, asked }: Asking, epoch: number, signal: AbortSignal): Promise<boolean> {
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
    const end = answer.kind === "finished" ? undefined : await answer.follower.end();
    if (damageOf(end) !== undefined) {
      throw new HuiyuanError("origin_truncated", `Cannot use "${asked.key}": the origin's image is damaged`);
    }
    if (end?.kind === "failed" || end?.kind === "unstored") throw end.error;
  } finally {
    answer.release();
  }
  await storedOrLate(mirror.settled(asked), signal);
  signal.throwIfAborted();
  return true;
}

/** Storing may go on behind it. A timer of its own: node collects an AbortSignal.timeout() that only AbortSignal.any() knows. */
function storedOrLate(settled: Promise<void>, signal: AbortSignal): Promise<void> {
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

// Fetches objects ahead of requests, through the mirrors that clients would use, at a limited rate. It skips stored
// objects and revalidates purged ones.
import { setTimeout as delay } from "node:timers/promises";
import { asHuiyuanError, errorRow, type HuiyuanError } from "../../../core/errors.ts";
import { toKey } from "../../../core/object.ts";
import type { MissAnswer } from "../../../mirror/fill/reader.ts";
import type { StaleKept } from "../../../mirror/freshness/revalidation.ts";
import { urlOfKey } from "../../../mirror/object-keys.ts";
import { originRequestForKey } from "../../../mirror/rules.ts";
import { aliasIn, missRouteOf, nameObject, type ObjectUrl, routeOf } from "../../request/object-name.ts";
import type { Site } from "../../request/site.ts";
import { inParallel, untilAborted } from "../in-parallel.ts";
import { type Domains, readUrl, siteOf, urlOf } from "../naming.ts";

/**
 * `fetched`: whole, and stored or pending. `present`: stored already. `confirmed`: purged, and the origin confirmed it.
 * `missing`: the origin does not have it. `deleted`: there is an operator's tombstone. `unmirrored`: no rule fetches
 * and stores it. `unstored`: the answer of the origin may not be stored.
 */
export type WarmResult =
  | "fetched"
  | "present"
  | "confirmed"
  | "missing"
  | "deleted"
  | "unmirrored"
  | "unstored"
  | "failed";

/** The result for one name. `code` and `message` are set for `failed`. */
export interface WarmLine {
  readonly name: string;
  readonly result: WarmResult;
  /** Size of the fetched object. */
  readonly bytes?: number;
  readonly code?: string;
  readonly message?: string;
}

export interface WarmRequest {
  /** URLs, or keys of `site`. */
  readonly names: readonly string[];
  readonly site: () => Site;
  /** Names fetched concurrently. */
  readonly concurrency: number;
  /** Names a second; undefined: unlimited. */
  readonly rate: number | undefined;
}

/** Yields a line for each finished name. Ends early when the signal aborts. */
export async function* warmAll(
  { names, site, concurrency, rate }: WarmRequest,
  { domains, signal }: { readonly domains: Domains; readonly signal: AbortSignal },
): AsyncGenerator<WarmLine, void, undefined> {
  const work = async (name: string): Promise<WarmLine> => {
    try {
      return { name, ...(await warm(targetOf(name, site, domains), signal)) };
    } catch (error) {
      return { name, ...failure(asHuiyuanError(error)) };
    }
  };
  yield* inParallel(untilAborted(names, signal), {
    places: concurrency,
    work,
    ...(rate !== undefined && { pace: createPace(rate, signal) }),
  });
}

/** Spaces starts evenly, at most `rate` a second. */
function createPace(rate: number, signal: AbortSignal): () => Promise<void> {
  let next = performance.now();
  return async () => {
    const wait = next - performance.now();
    next = Math.max(next, performance.now()) + 1_000 / rate;
    if (wait > 0) await delay(wait, undefined, { signal }).catch(() => undefined); // The next name sees the abort.
  };
}

interface Target {
  readonly site: Site;
  readonly url: ObjectUrl;
}

function targetOf(name: string, site: () => Site, { sites }: Domains): Target {
  const target = readUrl(name);
  if (target === undefined) {
    const own = site();
    const { path, query } = urlOfKey(toKey(name), own.source?.keysHaveQueries === true);
    return { site: own, url: { host: own.domain === "*" ? "" : own.domain, path, query, method: "GET" } };
  }
  const named = siteOf(target, sites);
  const url = urlOf(target);
  const original = aliasIn(named, url)?.base;
  return { site: named, url: original === undefined ? url : { ...url, path: original } };
}

async function warm({ site, url }: Target, signal: AbortSignal): Promise<Omit<WarmLine, "name">> {
  const { stored } = site;
  const object = nameObject(site, url);
  const entry = await stored.bucket.lookup(object.key);
  if (entry.state === "tombstone") return { result: "deleted" };
  if (entry.state === "absent" && entry.certainty === "foreign") return { result: "unstored" };
  if (entry.state === "object" && !entry.isStale) return { result: "present" };
  const route = entry.state === "object" ? routeOf(site, url) : missRouteOf(site, url);
  if (route === undefined || route.action === "none" || route.action === "redirect") return { result: "unmirrored" };
  const originRequest = originRequestForKey(route, object.request, {});
  if (!originRequest.isStored) return { result: "unmirrored" };
  const request = { ...originRequest, via: undefined, cdnLoop: undefined, signal };
  const { mirror } = route;
  const answer =
    entry.state === "object"
      ? await mirror.revalidate(entry, { ...request, mayServeStale: false })
      : await mirror.fetch({ ...request, method: "GET", epoch: entry.epoch });
  return outcome(answer);
}

async function outcome(answer: MissAnswer | StaleKept): Promise<Omit<WarmLine, "name">> {
  if (answer.kind === "kept") return { result: answer.why === "gone" ? "missing" : "confirmed" };
  if (answer.kind === "head") return { result: "unstored" }; // Cannot happen: only a HEAD is answered so.
  try {
    if (answer.kind === "finished") {
      return { result: answer.isStored() ? "fetched" : "unstored", bytes: answer.info.size };
    }
    const end = await answer.reader.end();
    if (end.kind === "failed") return failure(end.error);
    if (end.kind === "whole") return { result: answer.isStored() ? "fetched" : "unstored", bytes: end.info.size };
    return { result: "unstored" };
  } finally {
    answer.release();
  }
}

function failure(error: HuiyuanError): Omit<WarmLine, "name"> {
  if (error.code === "not_found") return { result: "missing" };
  const { status, text } = errorRow(error.code);
  // Origin errors show their full message; internal errors only their public text.
  return { result: "failed", code: error.code, message: status === 500 ? text : error.message };
}

// Locates an image: in memory, in the bucket, or at the origin. Downloads, originals of variants, watermark images and
// fallback images are all found here. The answer is a value; only failures are thrown.

import { HuiyuanError } from "../../../core/errors.ts";
import { toKey } from "../../../core/object.ts";
import type { Certainty } from "../../bucket/contract/driver.ts";
import type { MissAnswer, MissRequest } from "../../mirror/fill/reader.ts";
import { type OriginRequest, originRequestFor, originRequestForProcessed, publicTarget } from "../../mirror/rules.ts";
import type { Found, StoredObject } from "../../mirror/stored/stored.ts";
import { clientOf } from "../request/exchange.ts";
import { aliasIn, missRouteOf, refuseBoth, splitStyle } from "../request/object-name.ts";
import type { Route } from "../request/site.ts";
import type { Learnt, Located, LocatedAbsent, LocatedFetch, LocatedStored, LocateRequest } from "./download-context.ts";
import { checkFreshness, revalidationRequest } from "./freshness.ts";
import { locationOf, redirectOfOrigin } from "./redirect.ts";

export const NOTHING: Learnt = { about: "nothing" };
const CHANGE: Learnt = { about: "change" };

/** Throws the codes of Mirror.fetch and of the store. */
export async function locate(request: LocateRequest, learnt: Learnt): Promise<Located> {
  if (learnt.about === "unreadable") return locateInstead(request, learnt.failure);
  const look = learnt.about === "look" && learnt.key === request.object.key ? learnt : undefined;
  const located = (look === undefined ? atHand(request, learnt) : look.located) ?? (await lookUp(request, learnt));
  // A fallback image is served as it is stored.
  if (located.kind !== "stored" || request.role === "fallback") return located;
  const freshness = look?.freshness ?? checkFreshness(request, located.object);
  if (freshness.kind === "serve") return { ...located, life: freshness.life };
  const { route, mayServeStale } = freshness;
  const signal = clientOf(request.exchange);
  const target = { ...revalidationRequest(request, route), mayServeStale, signal };
  const answer = await route.mirror.revalidate(located.object, target);
  const { certainty } = located;
  if (answer.kind !== "kept") return fetched(answer, route, { certainty, isNewer: true, isProcessed: false });
  // It may have been deleted during the revalidation.
  const kept = atHand(request, learnt.failure === undefined ? CHANGE : learnt) ?? (await lookUp(request, learnt));
  if (kept.kind !== "stored") return kept;
  return { ...kept, life: route.mirror.revalidation.lifeOf(kept.object), revalidated: answer.why };
}

/**
 * The stored image, without waiting: from memory, or by a look-up of a moment ago. Its freshness is not checked.
 * Undefined: lookUp() decides.
 */
export function atHand({ site, object, processing }: LocateRequest, learnt: Learnt): LocatedStored | undefined {
  const { stored } = site;
  const { key } = object;
  const { failure } = learnt;
  const cacheRevision = stored.cacheRevision();
  const cached = stored.peek(key);
  // Neither memory nor cached look-ups have purged objects.
  if (cached !== undefined) {
    const { info, epoch } = cached;
    const found = { state: "memory", object: cached } as const;
    return storedImage({ info, isStale: false, epoch }, { cacheRevision, failure, found });
  }
  if (learnt.about === "change" || learnt.about === "outage") return undefined;
  if (processing === undefined) {
    const recent = stored.lookupRecent(key);
    return recent && storedImage(recent, { cacheRevision, failure });
  }
  // The bytes of a variant's original are not needed now, so a description will do.
  const known = stored.cachedLookup(key);
  if (known === undefined || known === "absent") return undefined;
  return storedImage({ info: known.info, isStale: false, epoch: known.epoch }, { cacheRevision, failure });
}

function storedImage(
  object: StoredObject,
  {
    cacheRevision,
    failure,
    found,
  }: { readonly cacheRevision: number; readonly failure: HuiyuanError | undefined; readonly found?: Found },
): LocatedStored {
  const certainty = failure === undefined ? (object.certainty ?? "confirmed") : "unknown";
  return { kind: "stored", object, found, cacheRevision, certainty, life: undefined, revalidated: undefined };
}

/** The stored image, or the image of a key that has no object. A tombstone is final. */
async function lookUp(request: LocateRequest, learnt: Learnt): Promise<Located> {
  const { stored } = request.site;
  const { key } = request.object;
  const cacheRevision = stored.cacheRevision();
  const entry = await (request.processing === undefined ? stored.lookupVisible : stored.lookup)(key);
  if (entry.state === "object") return storedImage(entry, { cacheRevision, failure: learnt.failure });
  if (entry.state === "tombstone")
    return absentBecause(learnt.failure ?? new HuiyuanError("deleted", `Cannot serve "${key}": it was deleted`));
  const { epoch, failure = learnt.failure, certainty = failure === undefined ? "confirmed" : "unknown" } = entry;
  return locateAtOrigin(request, { epoch, failure, certainty });
}

/** The origin's image in place of one that the store cannot read. An uploaded image has no origin. */
async function locateInstead(request: LocateRequest, failure: HuiyuanError): Promise<Located> {
  const { site, object } = request;
  const entry = await site.stored.bucket.lookup(object.key);
  // Absent: the remote store is unavailable by now, or the object was deleted there.
  const mayHave = entry.state === "absent" || (entry.state === "object" && entry.info.provenance.via === "mirror");
  const action = object.route?.action;
  const isFetched = action === "mirror" || action === "async" || request.processing !== undefined;
  if (!(mayHave && isFetched)) return absentBecause(failure);
  return locateAtOrigin(request, { epoch: entry.epoch, failure, certainty: "unknown" });
}

interface Absence {
  readonly epoch: number;
  readonly certainty: Certainty;
  /** Replaces "no such image": the store may have what the origin lacks. */
  readonly failure: HuiyuanError | undefined;
}

/** The rule of the URL decides: fetch from the origin, redirect the client, or nothing. */
function locateAtOrigin(request: LocateRequest, absence: Absence): Located | Promise<Located> {
  const { site, url, object, headers, processing, role } = request;
  const { certainty, failure } = absence;
  // If the store did not answer, an original with an alias in its name may exist.
  if (processing !== undefined && certainty === "confirmed" && aliasIn(site, url) !== undefined) refuseBoth(processing);
  const route = missRouteOf(site, url, object);
  if (route === undefined || route.action === "none" || (role !== "image" && route.action !== "mirror")) {
    return failure === undefined ? unmirrored(request) : absentBecause(failure);
  }
  const original = originRequestFor(route, object.request, headers);
  // A fallback key that the rules never make.
  if (role === "fallback" && original.key !== object.key) return unmirrored(request);
  if (route.action !== "mirror") return redirectToOrigin(request, { route, original, absence });
  // imageInfo and exif return facts, no image, so they are never left to the origin.
  const isProcessed =
    processing !== undefined && processing.named.recipe.inspection === undefined && route.processedMiss === "origin";
  if (!isProcessed) return fetchFrom(request, { route, target: original, absence, isProcessed });
  const target = processedAtOrigin(request, route, processing.suffix);
  return fetchFrom(request, { route, target, absence, isProcessed }).then((located) => {
    // No log: a store that fails to read now would not store the original either.
    if (located.kind === "fetch" && url.method === "GET")
      void fetchInBackground(request, route, original).catch(() => undefined);
    return located;
  });
}

/** The request for a variant that the origin makes. */
function processedAtOrigin({ object, headers }: LocateRequest, route: Route, suffix: string): OriginRequest {
  const target = originRequestForProcessed(route, object.request, headers);
  return suffix === "" ? target : { ...target, path: toKey(target.path + suffix) };
}

async function unmirrored({ site, url, object, processing }: LocateRequest): Promise<LocatedAbsent> {
  const { key } = object;
  const styled = site.separators.length === 0 ? undefined : splitStyle(url.path, site.separators);
  const isUnknownStyle = processing === undefined && styled !== undefined && !site.aliases.has(styled.style);
  if (isUnknownStyle && (await site.stored.bucket.lookup(styled.base)).state === "object")
    return absentBecause(new HuiyuanError("style_unknown", `Cannot serve "${key}": "${styled.style}" is not a style`));
  const found = "the bucket does not have it and no rule fetches it";
  return absentBecause(new HuiyuanError("not_found", `Cannot serve "${key}": ${found}`));
}

/** A request to the origin for a key that has no object. */
interface OriginMiss {
  readonly route: Route;
  readonly target: OriginRequest;
  readonly absence: Absence;
  readonly isProcessed: boolean;
}

function fetchFrom(request: LocateRequest, miss: OriginMiss): Promise<Located> {
  const { role, processing, url } = request;
  const { route, target, absence, isProcessed } = miss;
  const method = role === "image" && (processing === undefined || isProcessed) ? url.method : "GET";
  return route.mirror.fetch(missRequestOf(request, target, { absence, method })).then(
    (answer) => fetched(answer, route, { certainty: absence.certainty, isNewer: false, isProcessed }),
    (error: unknown) => notFetched(error, request, miss),
  );
}

/** A redirect, or an absence; throws every other error. */
function notFetched(error: unknown, { role, object }: LocateRequest, { route, target, absence }: OriginMiss): Located {
  if (!(error instanceof HuiyuanError)) throw error;
  if (error.code === "origin_moved" && role === "image") return redirectOfOrigin(object.key, error);
  if (error.code !== "not_found") throw error;
  const { fallback } = route;
  const isFallback = fallback !== undefined && fallback.key !== target.key && absence.certainty !== "unknown";
  return { ...absentBecause(absence.failure ?? error), fallback: isFallback ? fallback : undefined };
}

function fetched(
  answer: MissAnswer,
  { mirror }: Route,
  facts: Pick<LocatedFetch, "certainty" | "isNewer" | "isProcessed">,
): LocatedFetch {
  const life = mirror.revalidation.lifeOfAnswer(answer.kind === "head" ? answer : answer.head);
  return { kind: "fetch", answer, life, ...facts };
}

/** Fetches and stores an object, unless the bucket has it by now. */
async function fetchInBackground(request: LocateRequest, { mirror }: Route, original: OriginRequest): Promise<void> {
  const entry = await request.site.stored.bucket.lookup(original.key);
  if (entry.state !== "absent" || entry.certainty === "foreign") return;
  const absence: Absence = { epoch: entry.epoch, certainty: "confirmed", failure: undefined };
  mirror.begin(missRequestOf(request, original, { absence, method: "GET" }));
}

/** Actions `async` and `redirect`: redirects the client to the origin; `async` also fetches in the background. */
function redirectToOrigin(
  request: LocateRequest,
  { route, original, absence }: { readonly route: Route; readonly original: OriginRequest; readonly absence: Absence },
): Located {
  const { base, status } = route.redirect;
  if (base === undefined) throw new HuiyuanError("internal", "Cannot redirect: the rule has no base URL for clients");
  // A background fetch that is not stored would serve nobody.
  const isStored = original.isStored && absence.certainty !== "foreign";
  if (route.action === "async" && request.url.method === "GET" && isStored)
    route.mirror.begin(missRequestOf(request, original, { absence, method: "GET" }));
  const target = publicTarget(route, request.object.request);
  const { suffix } = request.processing ?? { suffix: "" };
  const path = suffix === "" ? target.path : toKey(target.path + suffix);
  return { kind: "redirect", status, location: locationOf(base, { ...target, path }) };
}

/** The mirror's request for this download. */
function missRequestOf(
  { exchange }: LocateRequest,
  { key, isStored, path, query, headers, followsRedirects }: OriginRequest,
  { absence: { epoch, certainty }, method }: { readonly absence: Absence; readonly method: MissRequest["method"] },
): MissRequest {
  // Each field by name: a spread plus further fields costs V8 microseconds and kilobytes on every miss.
  return {
    key,
    isStored: isStored && certainty !== "foreign",
    path,
    query,
    headers,
    followsRedirects,
    epoch,
    method,
    via: exchange.request.headers.via,
    cdnLoop: exchange.request.headers["cdn-loop"],
    signal: clientOf(exchange),
  };
}

function absentBecause(error: HuiyuanError): LocatedAbsent {
  return { kind: "absent", error, fallback: undefined };
}

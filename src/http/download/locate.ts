// Locates an image: in memory, in the bucket, or at the origin. Downloads, originals of variants, watermark images and
// fallback images are all found here. The answer is a value; only failures are thrown.

import type { Certainty } from "../../bucket/contract/driver.ts";
import { HuiyuanError } from "../../core/errors.ts";
import { type Key, toKey } from "../../core/object.ts";
import type { MissAnswer, MissRequest } from "../../mirror/fill/reader.ts";
import type { StaleKept } from "../../mirror/freshness/revalidation.ts";
import {
  type OriginRequest,
  originRequestFor,
  originRequestForKey,
  originRequestForProcessed,
  publicTarget,
} from "../../mirror/rules.ts";
import type { NoObject, Stored, StoredObject } from "../../mirror/stored/stored.ts";
import { splitStyle } from "../request/instruction.ts";
import { aliasIn, missRouteOf, routeOf } from "../request/object-name.ts";
import { refuseBoth } from "../request/processing-request.ts";
import type { Route } from "../request/site.ts";
import type { Located, LocatedAbsent, LocatedFetch, LocateRequest } from "./download-context.ts";
import { checkFreshness } from "./freshness.ts";
import { locationOf, redirectOfOrigin } from "./redirect.ts";

/** Facts about the store that earlier steps of the same download have found. */
export interface StoreFacts {
  /** The store did not answer, or not with the object's bytes: an image that the origin lacks may be there. */
  readonly failure: HuiyuanError | undefined;
  /** True: the store cannot read the object, so that only the origin can replace it. */
  readonly isUnreadable: boolean;
  /** False: a recent look-up has turned out wrong. */
  readonly mayUseNotes: boolean;
}

export const NOTHING_KNOWN: StoreFacts = { failure: undefined, isUnreadable: false, mayUseNotes: true };

/** Throws the codes of Mirror.fetch and of the store. */
export async function locate(request: LocateRequest, facts: StoreFacts): Promise<Located> {
  const { stored } = request.site;
  const { key } = request.object;
  if (facts.isUnreadable) return locateInstead(request, facts);
  let kept: { readonly why: StaleKept["why"]; readonly route: Route } | undefined;
  for (;;) {
    const since = stored.moment();
    const known = peek(stored, key, request.processing !== undefined && facts.mayUseNotes && kept === undefined);
    const entry = known ?? (await (request.processing === undefined ? stored.lookupVisible(key) : stored.lookup(key)));
    if (entry.state !== "object") return locateMissing(request, entry, facts);
    const certainty = facts.failure === undefined ? (entry.certainty ?? "confirmed") : "unknown";
    const found = { kind: "stored", object: entry, body: known?.body, since, certainty } as const;
    // A fallback image is served as it is stored.
    if (request.role === "fallback") return { ...found, life: undefined, revalidated: undefined };
    if (kept !== undefined) {
      const life = kept.route.mirror.revalidation.lifeOf(entry);
      return { ...found, life, revalidated: kept.why };
    }
    const freshness = checkFreshness(request, entry);
    if (freshness.kind === "serve") return { ...found, life: freshness.life, revalidated: undefined };
    const { route, mayServeStale } = freshness;
    const answer = await revalidateFirst(request, entry, route, mayServeStale);
    if (answer.kind !== "kept") return fetched(answer, { route, certainty, isNewer: true });
    // It is looked up once more, because it may have been deleted during the revalidation.
    kept = { why: answer.why, route };
  }
}

/** The image of a key that has no object. A tombstone is final. */
async function locateMissing(request: LocateRequest, entry: NoObject, facts: StoreFacts): Promise<Located> {
  const { key } = request.object;
  if (entry.state === "tombstone")
    return absentBecause(facts.failure ?? new HuiyuanError("deleted", `Cannot serve "${key}": it was deleted`));
  const { epoch, failure = facts.failure, certainty = failure === undefined ? "confirmed" : "unknown" } = entry;
  return locateAtOrigin(request, { epoch, failure, certainty });
}

type Known = {
  readonly state: "object";
  readonly body: Buffer | undefined;
  readonly certainty?: undefined;
} & StoredObject;

/** `usesNotes`: the bytes are not needed now, so that a recent look-up will do. */
function peek(stored: Stored, key: Key, usesNotes: boolean): Known | undefined {
  const cached = stored.peek(key);
  if (cached !== undefined) return { state: "object", isStale: false, ...cached };
  const noted = usesNotes ? stored.peekNote(key) : undefined;
  if (noted === undefined || noted === "absent") return undefined;
  return { state: "object", isStale: false, body: undefined, ...noted };
}

/** The origin's image in place of one that the store cannot read. An uploaded image has no origin. */
async function locateInstead(request: LocateRequest, { failure }: StoreFacts): Promise<Located> {
  const { site, object } = request;
  const entry = await site.stored.bucket.lookup(object.key);
  // Absent: the remote store is unavailable by now, or the object was deleted there.
  const mayHave = entry.state === "absent" || (entry.state === "object" && entry.info.provenance.via === "mirror");
  const action = routeOf(site, request.url)?.action;
  const isFetched = action === "mirror" || action === "async" || request.processing !== undefined;
  if (failure !== undefined && !(mayHave && isFetched)) return absentBecause(failure);
  return locateAtOrigin(request, { epoch: entry.epoch, failure, certainty: "unknown" });
}

interface Absence {
  readonly epoch: number;
  readonly certainty: Certainty;
  /** Replaces "no such image": the store may have what the origin lacks. */
  readonly failure: HuiyuanError | undefined;
}

/** The rule of the URL decides: fetch from the origin, redirect the client, or nothing. */
async function locateAtOrigin(request: LocateRequest, absence: Absence): Promise<Located> {
  const { site, url, object, processing, headers, role } = request;
  const { certainty, failure } = absence;
  // If the store did not answer, an original with an alias in its name may exist.
  if (processing !== undefined && certainty === "confirmed" && aliasIn(site, url) !== undefined) refuseBoth(processing);
  const route = missRouteOf(site, url);
  if (route === undefined || route.action === "none" || (role !== "image" && route.action !== "mirror")) {
    return absentBecause(failure ?? (await unmirrored(request)));
  }
  const originRequest = originRequestFor(route, object.request, headers);
  // A fallback key that the rules never make.
  if (role === "fallback" && originRequest.key !== object.key) return absentBecause(await unmirrored(request));
  if (route.action !== "mirror") return redirectToOrigin(request, { route, originRequest, absence });
  // imageInfo and exif return facts, no image, so they are never left to the origin.
  const isProcessed = processing?.named.recipe.inspection === undefined && route.processedMiss === "origin";
  if (processing === undefined || !isProcessed) return fetchFrom(request, { route, originRequest, absence });
  const target = originRequestForProcessed(route, object.request, headers);
  const path = processing.suffix === "" ? target.path : toKey(target.path + processing.suffix);
  const plain = { ...request, processing: undefined };
  const located = await fetchFrom(plain, { route, originRequest: { ...target, path }, absence });
  if (located.kind === "fetch" && url.method === "GET") {
    // No log: a store that fails to read now would not store the original either.
    void fetchInBackground(request, route, originRequest).catch(() => undefined);
  }
  return located.kind === "fetch" ? { ...located, isProcessed: true } : located;
}

async function unmirrored({ site, url, object, processing }: LocateRequest): Promise<HuiyuanError> {
  const { key } = object;
  const styled = site.separators.length === 0 ? undefined : splitStyle(url.path, site.separators);
  const isUnknownStyle = processing === undefined && styled !== undefined && !site.aliases.has(styled.style);
  if (isUnknownStyle && (await site.stored.bucket.lookup(styled.base)).state === "object")
    return new HuiyuanError("style_unknown", `Cannot serve "${key}": "${styled.style}" is not a style`);
  return new HuiyuanError("not_found", `Cannot serve "${key}": the bucket does not have it and no rule fetches it`);
}

interface Miss {
  readonly route: Route;
  readonly originRequest: OriginRequest;
  readonly absence: Absence;
}

async function fetchFrom(request: LocateRequest, { route, originRequest, absence }: Miss): Promise<Located> {
  const { certainty, failure } = absence;
  let answer: MissAnswer;
  try {
    answer = await route.mirror.fetch(missRequestOf(request, originRequest, absence));
  } catch (error) {
    if (!(error instanceof HuiyuanError)) throw error;
    if (error.code === "origin_moved" && request.role === "image") return redirectOfOrigin(request.object.key, error);
    if (error.code !== "not_found") throw error;
    const { fallback } = route;
    const isFallback = fallback !== undefined && fallback.key !== originRequest.key && certainty !== "unknown";
    return { ...absentBecause(failure ?? error), fallback: isFallback ? fallback : undefined };
  }
  return fetched(answer, { route, certainty, isNewer: false });
}

function fetched(
  answer: MissAnswer,
  { route, certainty, isNewer }: { readonly route: Route; readonly certainty: Certainty; readonly isNewer: boolean },
): LocatedFetch {
  const life = route.mirror.revalidation.lifeOfAnswer(answer.kind === "head" ? answer : answer.head);
  return { kind: "fetch", answer, certainty, life, isNewer, isProcessed: false };
}

/** Fetches and stores an object, unless the bucket has it by now. */
async function fetchInBackground(
  request: LocateRequest,
  { mirror }: Route,
  originRequest: OriginRequest,
): Promise<void> {
  const entry = await request.site.stored.bucket.lookup(originRequest.key);
  if (entry.state !== "absent" || entry.certainty === "foreign") return;
  const { epoch } = entry;
  mirror.begin(missRequestOf(request, originRequest, { epoch, certainty: "confirmed", failure: undefined }));
}

/** Actions `async` and `redirect`: redirects the client to the origin; `async` also fetches in the background. */
function redirectToOrigin(request: LocateRequest, { route, originRequest, absence }: Miss): Located {
  const { base, status } = route.redirect;
  if (base === undefined) throw new HuiyuanError("internal", "Cannot redirect: the rule has no base URL for clients");
  // A background fetch that is not stored would serve nobody.
  const isStored = originRequest.isStored && absence.certainty !== "foreign";
  if (route.action === "async" && request.url.method === "GET" && isStored) {
    route.mirror.begin(missRequestOf(request, originRequest, absence));
  }
  const target = publicTarget(route, request.object.request);
  const { suffix } = request.processing ?? { suffix: "" };
  const path = suffix === "" ? target.path : toKey(target.path + suffix);
  return { kind: "redirect", status, location: locationOf(base, { ...target, path }) };
}

function revalidateFirst(request: LocateRequest, object: StoredObject, route: Route, mayServeStale: boolean) {
  const { via, cdnLoop, cancellation } = request;
  const target = originRequestForKey(route, request.object.request, request.headers);
  return route.mirror.revalidate(object, { ...target, via, cdnLoop, mayServeStale, signal: cancellation() });
}

/** The mirror's request for this download. */
function missRequestOf(
  { url, processing, role, via, cdnLoop, cancellation }: LocateRequest,
  { key, isStored, path, query, headers, followsRedirects }: OriginRequest,
  { epoch, certainty }: Absence,
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
    method: processing === undefined && role === "image" ? url.method : "GET",
    via,
    cdnLoop,
    signal: cancellation(),
  };
}

function absentBecause(error: HuiyuanError): LocatedAbsent {
  return { kind: "absent", error, fallback: undefined };
}

// Answers a download with what was found under its key, as its age allows: as it is, while the origin is asked again
// behind the client's back, or only after that. How old is too old is decided by mirror/freshness.ts.
import { HuiyuanError } from "../errors.ts";
import type { MissAnswer } from "../mirror/join.ts";
import type { Kept } from "../mirror/refresh.ts";
import { askedForKey } from "../mirror/rules.ts";
import type { Found, StoredObject } from "../mirror/stored.ts";
import type { ObjectInfo } from "../object.ts";
import { type Admitted, answerFound, CACHE_STATUS, clientOf, contextOf, FROM_MEMORY } from "./admitted.ts";
import type { AnswerLife } from "./cache-control.ts";
import { marksOf, serveMiss, serveMissing } from "./miss.ts";
import { routeOf } from "./object-name.ts";
import type { Route } from "./site.ts";

type FoundObject = Exclude<Found, { readonly state: "tombstone" | "absent" }>;

/** What memory has, for the hot path: undefined where another look is needed, since it is stale. */
export function freshLife(admitted: Admitted, info: ObjectInfo): { readonly life: AnswerLife | undefined } | undefined {
  if (admitted.site.source?.ages !== true) return AGELESS;
  const refresh = askingRoute(admitted)?.mirror.refresh;
  if (refresh?.isFresh === undefined) return AGELESS;
  return refresh.isFresh(info) ? { life: refresh.lifeOf(inMemory(info)) } : undefined;
}

const AGELESS = { life: undefined };

/** Throws deleted, and the codes of Mirror.fetch where the origin must be asked. */
export async function serveFound(admitted: Admitted, found: Found): Promise<void> {
  if (found.state === "absent") {
    return serveMissing(admitted, found.epoch).catch((error: unknown) => {
      throw unlessUnknown(error, found.failure);
    });
  }
  const { key } = admitted.object;
  if (found.state === "tombstone") throw new HuiyuanError("deleted", `Cannot serve "${key}": it was deleted`);
  const object = storedObject(found);
  const age = ageOf(admitted, object);
  if (age.kind === "serve") {
    const status = age.isStale ? staleStatus(tierOf(found), age.life) : CACHE_STATUS[tierOf(found)];
    return serveStored(admitted, found, { life: age.life, status });
  }
  if (found.state === "large") found.reader.close();
  const answer = await askFirst(admitted, object, age);
  if (answer.kind === "kept") return serveKept(admitted, age.route, answer);
  await serveMiss(admitted, answer, { route: age.route, status: CACHE_STATUS.replaced });
}

/** Whether a stored object may be served as it is, or the origin is asked for a newer one first. */
export type Age =
  | { readonly kind: "serve"; readonly life: AnswerLife | undefined; readonly isStale: boolean }
  | { readonly kind: "ask"; readonly route: Route; readonly mayHelp: boolean };

/** Of what is stale and served all the same a newer version is asked for behind the answer. */
export function ageOf(admitted: Admitted, object: StoredObject): Age {
  const route = object.isStale || admitted.site.source?.ages === true ? askingRoute(admitted) : undefined;
  if (route === undefined) return FRESH;
  const { refresh } = route.mirror;
  const standing = refresh.standingOf(object);
  const life = refresh.lifeOf(object);
  if (standing === "fresh") return { kind: "serve", life, isStale: false };
  if (standing !== "stale") return { kind: "ask", route, mayHelp: standing === "ask-first" };
  refresh.begin(object, question(admitted, route));
  return { kind: "serve", life, isStale: true };
}

const FRESH: Age = { kind: "serve", life: undefined, isStale: false };

/** Throws the codes of Mirror.fetch. */
export function askFirst(
  admitted: Admitted,
  object: StoredObject,
  { route, mayHelp }: Extract<Age, { readonly kind: "ask" }>,
): Promise<MissAnswer | Kept> {
  const signal = clientOf(admitted.exchange);
  return route.mirror.revalidate(object, { ...question(admitted, route), mayHelp, signal });
}

/**
 * The disk does not give what the bucket has: the origin may have it too, and its answer is passed on without being
 * stored. An upload is nobody else's. Throws `failure` where the origin cannot help.
 */
export async function serveUnread(admitted: Admitted, failure: HuiyuanError): Promise<void> {
  const entry = await admitted.site.stored.bucket.lookup(admitted.object.key);
  const isFromOrigin = entry.state === "object" && entry.info.provenance.via === "mirror";
  if (!isFromOrigin || askingRoute(admitted) === undefined) throw failure;
  try {
    await serveMissing(admitted, entry.epoch);
  } catch (error) {
    // Nobody may be told that there is no such image.
    throw error instanceof HuiyuanError && error.code === "not_found" ? failure : error;
  }
}

/** What is stored now, whatever its age: the origin was asked. */
async function serveKept(admitted: Admitted, route: Route, { why }: Kept): Promise<void> {
  const found = await admitted.site.stored.find(admitted.object.key);
  // Deleted, or purged for good, while the origin was asked.
  if (found.state === "tombstone" || found.state === "absent") return serveFound(admitted, found);
  const life = route.mirror.refresh.lifeOf(storedObject(found));
  await serveStored(admitted, found, { life, status: CACHE_STATUS.kept[why] });
}

async function serveStored(
  admitted: Admitted,
  found: FoundObject,
  { life, status }: { readonly life: AnswerLife | undefined; readonly status: string },
): Promise<void> {
  const { exchange } = admitted;
  const tier = tierOf(found);
  exchange.outcome = tier === "memory" ? FROM_MEMORY : { kind: "hit", tier };
  await answerFound(exchange, found, contextOf(admitted, "stored", status, life));
}

/** The route by which the object may be asked for again; undefined where its domain asks no origin for it. */
function askingRoute({ site, url }: Admitted): Route | undefined {
  const route = routeOf(site, url);
  return route?.action === "mirror" || route?.action === "async" ? route : undefined;
}

function question({ exchange, object }: Admitted, route: Route) {
  const { headers } = exchange.request;
  return { ...askedForKey(route, object.request, headers), ...marksOf(exchange) };
}

function storedObject(found: FoundObject): StoredObject {
  if (found.state === "memory") return inMemory(found.object.info);
  if (found.state === "large") return found;
  return { info: found.object.info, isStale: found.isStale, epoch: found.epoch };
}

function inMemory(info: ObjectInfo): StoredObject {
  return { info, isStale: false, epoch: undefined };
}

/** What still waits to be uploaded is a hit in the spool. */
function tierOf(found: FoundObject): "memory" | "spool" | "bucket" {
  if (found.state === "memory") return "memory";
  return found.isQueued ? "spool" : "bucket";
}

/** A 404 of the origin is none while the store could not be asked: that may have what the origin lacks. */
function unlessUnknown(error: unknown, failure: HuiyuanError | undefined): unknown {
  const isAbsent = error instanceof HuiyuanError && error.code === "not_found";
  return isAbsent && failure !== undefined ? failure : error;
}

/** RFC 9211 §2.6: what is served although it is stale has a ttl below 0. */
export function staleStatus(tier: string, life: AnswerLife | undefined): string {
  return `huiyuan; hit; ttl=${life?.leftSeconds ?? 0}; detail=${tier}`;
}

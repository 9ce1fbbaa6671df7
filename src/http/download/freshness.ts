// How the age of what is stored is heeded, whether it is shown or something is made of it: it is used as it is, while the
// origin is asked again behind the client's back, or only after that. How old is too old is decided by mirror/freshness.ts.

import type { Cancellation } from "../../async/cancellation.ts";
import type { ObjectInfo } from "../../core/object.ts";
import type { MissAnswer } from "../../mirror/fill/join.ts";
import type { StaleKept } from "../../mirror/freshness/revalidation-outcome.ts";
import { askedForKey } from "../../mirror/rules.ts";
import type { StoredObject } from "../../mirror/stored/stored.ts";
import type { ViaHeaders } from "../../origin/exchange/via-headers.ts";
import type { DownloadRequest } from "../request/exchange.ts";
import { routeOf } from "../request/object-name.ts";
import type { Route } from "../request/site.ts";
import type { AnswerLife } from "../response/cache-control.ts";
import { clientOf, type DownloadContext } from "./download-context.ts";
import { viaHeadersOf } from "./miss.ts";

/** By which URL, and for whom, a stored object is wanted. */
export interface RevalidationContext extends Pick<DownloadContext, "site" | "url" | "object">, ViaHeaders {
  /** Of the client's request; what of them the rule passes on goes along. */
  readonly headers: DownloadRequest["headers"];
  readonly cancellation: () => Cancellation;
}

export function revalidationContextOf({ site, url, object, exchange }: DownloadContext): RevalidationContext {
  const { headers } = exchange.request;
  const { via, cdnLoop } = viaHeadersOf(exchange);
  return { site, url, object, headers, via, cdnLoop, cancellation: () => clientOf(exchange) };
}

/** What memory has, for the hot path: undefined where another look is needed, since it is stale. */
export function freshLife(
  asker: Pick<RevalidationContext, "site" | "url">,
  info: ObjectInfo,
): { readonly life: AnswerLife | undefined } | undefined {
  if (asker.site.source?.ages !== true) return NEVER_STALE;
  const revalidation = revalidationRoute(asker)?.mirror.revalidation;
  if (revalidation?.isFresh === undefined) return NEVER_STALE;
  return revalidation.isFresh(info) ? { life: revalidation.lifeOf(inMemory(info)) } : undefined;
}

const NEVER_STALE = { life: undefined };

/** Whether a stored object may be used as it is, or the origin is asked for a newer one first. */
export type Freshness =
  | { readonly kind: "serve"; readonly life: AnswerLife | undefined; readonly isStale: boolean }
  | { readonly kind: "ask"; readonly route: Route; readonly mayServeStale: boolean };

/** Of what is stale and used all the same a newer version is asked for behind the answer. */
export function checkFreshness(asker: RevalidationContext, object: StoredObject): Freshness {
  const route = object.isStale || asker.site.source?.ages === true ? revalidationRoute(asker) : undefined;
  if (route === undefined) return FRESH;
  const { revalidation } = route.mirror;
  const standing = revalidation.standingOf(object);
  const life = revalidation.lifeOf(object);
  if (standing === "fresh") return { kind: "serve", life, isStale: false };
  if (standing !== "stale") return { kind: "ask", route, mayServeStale: standing === "ask-first" };
  revalidation.begin(object, question(asker, route));
  return { kind: "serve", life, isStale: true };
}

const FRESH: Freshness = { kind: "serve", life: undefined, isStale: false };

/** Throws the codes of Mirror.fetch. */
export function revalidateFirst(
  asker: RevalidationContext,
  object: StoredObject,
  { route, mayServeStale }: Extract<Freshness, { readonly kind: "ask" }>,
): Promise<MissAnswer | StaleKept> {
  return route.mirror.revalidate(object, { ...question(asker, route), mayServeStale, signal: asker.cancellation() });
}

/**
 * Of what something is to be made in place of a stored object whose age is heeded. `kept`: the origin was asked first, in vain.
 * `gone`: deleted, or purged for good, meanwhile.
 */
export type CurrentVersion =
  | {
      readonly kind: "stored";
      readonly info: ObjectInfo;
      readonly life: AnswerLife | undefined;
      readonly kept: StaleKept["why"] | undefined;
    }
  | { readonly kind: "fetched"; readonly answer: MissAnswer; readonly route: Route }
  | { readonly kind: "gone" };

/** Throws the codes of Mirror.fetch where the origin must be asked. */
export async function currentVersionOf(asker: RevalidationContext, object: StoredObject): Promise<CurrentVersion> {
  const { info } = object;
  const age = checkFreshness(asker, object);
  if (age.kind === "serve") return { kind: "stored", info, life: age.life, kept: undefined };
  const { route } = age;
  const answer = await revalidateFirst(asker, object, age);
  if (answer.kind !== "kept") return { kind: "fetched", answer, route };
  const entry = await asker.site.stored.lookup(info.key);
  if (entry.state !== "object") return { kind: "gone" };
  return { kind: "stored", info: entry.info, life: route.mirror.revalidation.lifeOf(entry), kept: answer.why };
}

/** The route by which the object may be asked for again; undefined where its domain asks no origin for it. */
export function revalidationRoute({ site, url }: Pick<RevalidationContext, "site" | "url">): Route | undefined {
  const route = routeOf(site, url);
  return route?.action === "mirror" || route?.action === "async" ? route : undefined;
}

function question({ object, headers, via, cdnLoop }: RevalidationContext, route: Route) {
  return { ...askedForKey(route, object.request, headers), via, cdnLoop };
}

/** What is in memory is never stale. */
function inMemory(info: ObjectInfo): Pick<StoredObject, "info" | "isStale"> {
  return { info, isStale: false };
}

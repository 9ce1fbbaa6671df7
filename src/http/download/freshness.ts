// Decides how a download uses a stored object that may be stale: serve it, serve it and revalidate in the background,
// or revalidate first. mirror/freshness/ decides when an object is stale.

import type { Cancellation } from "../../async/cancellation.ts";
import type { ObjectInfo } from "../../core/object.ts";
import type { MissAnswer } from "../../mirror/fill/join.ts";
import type { StaleKept } from "../../mirror/freshness/revalidation-outcome.ts";
import { originRequestForKey } from "../../mirror/rules.ts";
import type { StoredObject } from "../../mirror/stored/stored.ts";
import type { ViaHeaders } from "../../origin/exchange/via-headers.ts";
import type { DownloadRequest } from "../request/exchange.ts";
import { routeOf } from "../request/object-name.ts";
import type { Route } from "../request/site.ts";
import type { AnswerLife } from "../response/cache-control.ts";
import { clientOf, type DownloadContext } from "./download-context.ts";
import { viaHeadersOf } from "./miss.ts";

/** The request that a revalidation is made for: a download, or the look-up of a watermark. */
export interface RevalidationContext extends Pick<DownloadContext, "site" | "url" | "object">, ViaHeaders {
  /** The client's headers; the origin receives those that the rule passes on. */
  readonly headers: DownloadRequest["headers"];
  readonly cancellation: () => Cancellation;
}

export function revalidationContextOf({ site, url, object, exchange }: DownloadContext): RevalidationContext {
  const { headers } = exchange.request;
  const { via, cdnLoop } = viaHeadersOf(exchange);
  return { site, url, object, headers, via, cdnLoop, cancellation: () => clientOf(exchange) };
}

/** Freshness of an object in memory, without I/O. Undefined: it is stale, and the caller must look it up. */
export function freshLife(
  context: Pick<RevalidationContext, "site" | "url">,
  info: ObjectInfo,
): { readonly life: AnswerLife | undefined } | undefined {
  if (context.site.source?.ages !== true) return NEVER_STALE;
  const revalidation = revalidationRoute(context)?.mirror.revalidation;
  if (revalidation?.isFresh === undefined) return NEVER_STALE;
  return revalidation.isFresh(info) ? { life: revalidation.lifeOf(inMemory(info)) } : undefined;
}

const NEVER_STALE = { life: undefined };

/** Whether a stored object may be served now, or must be revalidated first. */
export type Freshness =
  | { readonly kind: "serve"; readonly life: AnswerLife | undefined; readonly isStale: boolean }
  | { readonly kind: "revalidate"; readonly route: Route; readonly mayServeStale: boolean };

/** Starts a background revalidation if the object is stale and may be served all the same. */
export function checkFreshness(context: RevalidationContext, object: StoredObject): Freshness {
  const route = object.isStale || context.site.source?.ages === true ? revalidationRoute(context) : undefined;
  if (route === undefined) return FRESH;
  const { revalidation } = route.mirror;
  const standing = revalidation.freshnessOf(object);
  const life = revalidation.lifeOf(object);
  if (standing === "fresh") return { kind: "serve", life, isStale: false };
  if (standing !== "stale") return { kind: "revalidate", route, mayServeStale: standing === "revalidate-first" };
  revalidation.begin(object, revalidationRequest(context, route));
  return { kind: "serve", life, isStale: true };
}

const FRESH: Freshness = { kind: "serve", life: undefined, isStale: false };

/** Throws the codes of Mirror.fetch. */
export function revalidateFirst(
  context: RevalidationContext,
  object: StoredObject,
  { route, mayServeStale }: Extract<Freshness, { readonly kind: "revalidate" }>,
): Promise<MissAnswer | StaleKept> {
  return route.mirror.revalidate(object, {
    ...revalidationRequest(context, route),
    mayServeStale,
    signal: context.cancellation(),
  });
}

/**
 * The version to use after the freshness check. `revalidated`: the origin was asked first and gave nothing newer.
 * `gone`: the object was deleted or purged for good meanwhile.
 */
export type CurrentVersion =
  | {
      readonly kind: "stored";
      readonly info: ObjectInfo;
      readonly life: AnswerLife | undefined;
      readonly revalidated: StaleKept["why"] | undefined;
    }
  | { readonly kind: "fetched"; readonly answer: MissAnswer; readonly route: Route }
  | { readonly kind: "gone" };

/** Throws the codes of Mirror.fetch if the object must be revalidated first. */
export async function currentVersionOf(context: RevalidationContext, object: StoredObject): Promise<CurrentVersion> {
  const { info } = object;
  const freshness = checkFreshness(context, object);
  if (freshness.kind === "serve") return { kind: "stored", info, life: freshness.life, revalidated: undefined };
  const { route } = freshness;
  const answer = await revalidateFirst(context, object, freshness);
  if (answer.kind !== "kept") return { kind: "fetched", answer, route };
  const entry = await context.site.stored.lookup(info.key);
  if (entry.state !== "object") return { kind: "gone" };
  return { kind: "stored", info: entry.info, life: route.mirror.revalidation.lifeOf(entry), revalidated: answer.why };
}

/** The route for revalidation; undefined if the rule of the URL fetches nothing. */
export function revalidationRoute({ site, url }: Pick<RevalidationContext, "site" | "url">): Route | undefined {
  const route = routeOf(site, url);
  return route?.action === "mirror" || route?.action === "async" ? route : undefined;
}

function revalidationRequest({ object, headers, via, cdnLoop }: RevalidationContext, route: Route) {
  return { ...originRequestForKey(route, object.request, headers), via, cdnLoop };
}

/** The memory cache never holds a purged object. */
function inMemory(info: ObjectInfo): Pick<StoredObject, "info" | "isStale"> {
  return { info, isStale: false };
}

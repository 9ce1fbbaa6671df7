// Decides how a download uses a stored object that may be stale: serve it, serve it and revalidate in the background,
// or revalidate first. mirror/freshness/ decides when an object is stale.
import type { ObjectInfo } from "../../../core/object.ts";
import type { RemainingLife } from "../../mirror/freshness/freshness.ts";
import { originRequestForKey } from "../../mirror/rules.ts";
import type { StoredObject } from "../../mirror/stored/stored.ts";
import { routeOf } from "../request/object-name.ts";
import type { Route } from "../request/site.ts";
import type { DownloadContext, LocateRequest } from "./download-context.ts";

type Named = Pick<DownloadContext, "site" | "url">;

/** Freshness of an object in memory, without I/O. Undefined: it is stale, and the caller must look it up. */
export function freshLife(named: Named, info: ObjectInfo): { readonly life: RemainingLife | undefined } | undefined {
  if (named.site.source?.ages !== true) return NEVER_STALE;
  const revalidation = revalidationRoute(named)?.mirror.revalidation;
  if (revalidation?.isFresh === undefined) return NEVER_STALE;
  // The memory cache never holds a purged object.
  return revalidation.isFresh(info) ? { life: revalidation.lifeOf({ info, isStale: false }) } : undefined;
}

const NEVER_STALE = { life: undefined };

/** Whether a stored object may be served now, or must be revalidated first. */
export type FreshnessStep =
  | { readonly kind: "serve"; readonly life: RemainingLife | undefined }
  | { readonly kind: "revalidate"; readonly route: Route; readonly mayServeStale: boolean };

const FRESH: FreshnessStep = { kind: "serve", life: undefined };

/** Starts a background revalidation if the object is stale and may be served all the same. */
export function checkFreshness(request: LocateRequest, object: StoredObject): FreshnessStep {
  const route = object.isStale || request.site.source?.ages === true ? revalidationRoute(request) : undefined;
  if (route === undefined) return FRESH;
  const { revalidation } = route.mirror;
  const standing = revalidation.freshnessOf(object);
  const life = revalidation.lifeOf(object);
  if (standing === "fresh") return { kind: "serve", life };
  if (standing !== "stale") return { kind: "revalidate", route, mayServeStale: standing === "revalidate-first" };
  revalidation.begin(object, revalidationRequest(request, route));
  return { kind: "serve", life };
}

export function revalidationRequest({ object, headers, exchange }: LocateRequest, route: Route) {
  const { via, "cdn-loop": cdnLoop } = exchange.request.headers;
  return { ...originRequestForKey(route, object.request, headers), via, cdnLoop };
}

/** The route for revalidation; undefined if the rule of the URL fetches nothing. */
function revalidationRoute({ site, url }: Named): Route | undefined {
  const route = routeOf(site, url);
  return route?.action === "mirror" || route?.action === "async" ? route : undefined;
}

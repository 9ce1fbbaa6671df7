// Decides how a download uses a stored object that may be stale: serve it, serve it and revalidate in the background,
// or revalidate first. mirror/freshness/ decides when an object is stale.
import { originRequestForKey } from "../../mirror/rules.ts";
import type { StoredObject } from "../../mirror/stored/stored.ts";
import type { Route } from "../request/site.ts";
import type { FreshnessStep, LocateRequest } from "./download-context.ts";

const FRESH: FreshnessStep = { kind: "serve", life: undefined };

/** Starts a background revalidation if the object is stale and may be served all the same. */
export function checkFreshness(request: LocateRequest, object: StoredObject): FreshnessStep {
  const { route } = request.object;
  if (route?.action !== "mirror" && route?.action !== "async") return FRESH;
  if (!object.isStale && request.site.source?.ages !== true) return FRESH;
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

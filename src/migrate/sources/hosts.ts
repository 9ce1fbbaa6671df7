// Fetches from any host: each has an origin of its own, so its own connections and its own permission to be private.
import { LRUCache } from "lru-cache";
import type { Key } from "../../core/object.ts";
import { createHttpOrigin, type HttpOriginOptions } from "../../origin/kinds/http-origin.ts";
import { siteRules } from "../../origin/kinds/site.ts";
import type { Origin, OriginTarget } from "../../origin/origin.ts";
import type { ListedUrl } from "./listed-url.ts";
import { plainTarget } from "./origins.ts";

export interface Hosts {
  /** The origin of a URL that is no file. Its requests are those of targetOf(). */
  originOf(url: ListedUrl): Origin;
  close(): Promise<void>;
}

/** More than a runner copies at once, so an origin that is dropped has no request. */
const MAX_HOSTS = 1_024;

export function createHosts(http: HttpOriginOptions): Hosts {
  const origins = new LRUCache<string, Origin>({ max: MAX_HOSTS, dispose: (origin) => void origin.close() });
  const { allowPrivate } = http;
  return {
    originOf({ origin: url }) {
      const known = origins.get(url);
      if (known !== undefined) return known;
      // The target is ready: a key could not spell every URL, such as one with an encoded slash.
      const rules = { ...siteRules({ url, allowPrivate }), target: ({ path }: { readonly path: string }) => path };
      const origin = createHttpOrigin(http, rules);
      origins.set(url, origin);
      return origin;
    },
    close: async () => void (await Promise.all([...origins.values()].map((origin) => origin.close()))),
  };
}

export function targetOf({ target }: ListedUrl): OriginTarget {
  return plainTarget(target as Key);
}

// The two halves of a source, a listing and a reader, and the readers that are origins of the mirror.
import { LRUCache } from "lru-cache";
import { type Key, toKey } from "../../../core/object.ts";
import { createHttpOrigin, type HttpOriginOptions } from "../../../serve/origin/kinds/http-origin.ts";
import { siteRules } from "../../../serve/origin/kinds/site.ts";
import type { NotModified, Origin, OriginAnswer, OriginTarget } from "../../../serve/origin/origin.ts";
import type { Source, SourceRequest } from "../source.ts";
import type { ListedUrl } from "./listed-url.ts";

export type Listing = Pick<Source, "isResumable" | "list" | "close">;

/** An origin, and a request to it. */
export interface Place {
  readonly origin: Origin;
  readonly target: OriginTarget;
}

/**
 * A source whose objects origins serve. `place`: finds a locator of the listing. `close`: closes the origins, unless
 * others share them. fetch() throws url_invalid too, for a locator that is no key.
 */
export function createOriginSource(listing: Listing, place: (path: Key) => Place, close: () => Promise<void>): Source {
  return {
    ...listing,
    fetch: async (request) => fetchFrom(place(toKey(request.object.locator)), request),
    close: async () => void (await Promise.all([listing.close(), close()])),
  };
}

/** A source with one origin, whose keys are the locators. */
export function createKeySource(listing: Listing, origin: Origin): Source {
  return createOriginSource(listing, (key) => ({ origin, target: plainTarget(key) }), origin.close);
}

function plainTarget(path: Key): OriginTarget {
  return { path, query: "", headers: {}, followsRedirects: true };
}

/** As Origin.fetch(). */
export function fetchFrom(
  { origin, target }: Place,
  { object, unless, maxBytes, signal }: SourceRequest,
): Promise<OriginAnswer | NotModified | undefined> {
  const key = object.fileid as Key; // names the object in messages only
  const [method, via, cdnLoop] = ["GET", undefined, undefined] as const;
  return origin.fetch({ ...target, key, method, via, cdnLoop, unless, maxBytes, signal });
}

/** Many hosts. Each has an origin of its own, so its own connections and its own permission to be private. */
export interface Hosts {
  /** The place of a URL that is no file. */
  placeOf(url: ListedUrl): Place;
  close(): Promise<void>;
}

/** More than a runner copies at once. An origin that is dropped finishes its requests before it closes. */
const MAX_HOSTS = 1_024;

export function createHosts(http: HttpOriginOptions): Hosts {
  const origins = new LRUCache<string, Origin>({ max: MAX_HOSTS, dispose: (origin) => void origin.close() });
  const { allowPrivate } = http;
  return {
    placeOf({ origin: url, target }) {
      // The target is ready: a key could not spell every URL, such as one with an encoded slash.
      const rules = () => ({ ...siteRules({ url, allowPrivate }), target: ({ path }: OriginTarget) => path });
      const origin = origins.get(url) ?? createHttpOrigin(http, rules());
      origins.set(url, origin);
      return { origin, target: plainTarget(target as Key) };
    },
    close: async () => void (await Promise.all([...origins.values()].map((origin) => origin.close()))),
  };
}

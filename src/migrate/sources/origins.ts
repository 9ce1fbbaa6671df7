// The two halves of a source, a listing and a reader, and the reader that is an origin of the mirror.
import { type Key, toKey } from "../../core/object.ts";
import type { NotModified, Origin, OriginAnswer, OriginTarget } from "../../origin/origin.ts";
import type { Source, SourceRequest } from "../source.ts";

export type Listing = Pick<Source, "isResumable" | "list" | "close">;

export interface OriginSourceParts {
  readonly listing: Listing;
  /** The origin of a locator of the listing, and the request to it. */
  readonly place: (path: Key) => { readonly origin: Origin; readonly target: OriginTarget };
  /** Closes the origins, unless others share them. */
  readonly close: () => Promise<void>;
}

/** A source whose objects origins serve. fetch() throws url_invalid too, for a locator that is no key. */
export function createOriginSource({ listing, place, close }: OriginSourceParts): Source {
  return {
    ...listing,
    async fetch(request) {
      const { origin, target } = place(toKey(request.object.locator));
      return fetchFrom(origin, target, request);
    },
    close: async () => void (await Promise.all([listing.close(), close()])),
  };
}

/** A source with one origin, whose keys are the locators. */
export function createKeySource(listing: Listing, origin: Origin): Source {
  const place = (key: Key) => ({ origin, target: plainTarget(key) });
  return createOriginSource({ listing, place, close: origin.close });
}

export function plainTarget(path: Key): OriginTarget {
  return { path, query: "", headers: {}, followsRedirects: true };
}

/** As Origin.fetch(). */
export function fetchFrom(
  origin: Origin,
  target: OriginTarget,
  { object, unless, maxBytes, signal }: SourceRequest,
): Promise<OriginAnswer | NotModified | undefined> {
  const key = object.fileid as Key; // names the object in messages only
  const [method, via, cdnLoop] = ["GET", undefined, undefined] as const;
  return origin.fetch({ ...target, key, method, via, cdnLoop, unless, maxBytes, signal });
}

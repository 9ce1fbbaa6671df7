// The two halves of a source, a listing and a reader, and the reader that is an origin of the mirror.
import { type Key, toKey } from "../../core/object.ts";
import type { NotModified, Origin, OriginAnswer, OriginTarget } from "../../origin/origin.ts";
import type { Source, SourceRequest } from "../source.ts";

export type Listing = Pick<Source, "isResumable" | "list" | "close">;

export interface OriginSourceParts {
  readonly listing: Listing;
  /** The locators of the listing are keys of it. The source does not close it, because a mirror may share it. */
  readonly origin: Origin;
  /** The origin's request for a key. Default: the key itself. */
  readonly targetOf?: (key: Key) => OriginTarget;
}

/** A source whose objects an origin serves. fetch() throws url_invalid too, for a locator that is no key. */
export function createOriginSource({ listing, origin, targetOf = plainTarget }: OriginSourceParts): Source {
  return { ...listing, fetch: async (request) => fetchFrom(origin, targetOf(toKey(request.object.locator)), request) };
}

/** A source with an origin of its own, which it closes. */
export function createOwnSource(listing: Listing, origin: Origin): Source {
  const close = async () => void (await Promise.all([listing.close(), origin.close()]));
  return { ...createOriginSource({ listing, origin }), close };
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

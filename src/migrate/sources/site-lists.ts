// The listings of a web site that is the origin of a domain: a list of keys or URLs, or a sitemap.
import type { Readable } from "node:stream";
import { HuiyuanError } from "../../core/errors.ts";
import { toKey } from "../../core/object.ts";
import type { SourceObject } from "../source.ts";
import { createLineListing } from "./lines.ts";
import { type ListedUrl, readListedUrl } from "./listed-url.ts";
import type { Listing } from "./origins.ts";

/** Base URLs whose continuation is a key, with a slash at their end and without a scheme: `//img.example.com/a/`. */
export type KeyBases = readonly string[];

/** The object of a URL below one of the bases. Throws url_invalid. */
export function objectBelow(bases: KeyBases, { origin, fileid }: ListedUrl): SourceObject {
  const place = `${origin.replace(/^https?:/, "")}/${fileid}`;
  const base = bases.find((each) => place.startsWith(each));
  if (base === undefined) throw new HuiyuanError("url_invalid", `It is not below ${bases.join(" or ")}`);
  return objectOf(place.slice(base.length));
}

/** Lists the lines of a file: keys as they are, and URLs, which may be percent-encoded. */
export function createKeyListing(options: {
  readonly file: string;
  readonly stdin?: Readable;
  readonly bases: KeyBases;
}): Listing {
  const read = (line: string) =>
    /^[a-z][a-z0-9+.-]*:\/\//i.test(line) ? objectBelow(options.bases, readListedUrl(line, "auto")) : objectOf(line);
  return createLineListing({ ...options, read });
}

function objectOf(name: string): SourceObject {
  const key = toKey(name);
  return { fileid: key, locator: key, size: undefined, version: undefined };
}

// The sources that are a list. `URLList` has a URL a line: of any host, or with file: of this machine. The list of a
// domain, whose origins serve the objects, has keys as they are, and URLs, which may be percent-encoded.
import { HuiyuanError } from "../../../core/errors.ts";
import { toKey } from "../../../core/object.ts";
import type { HttpOriginOptions } from "../../../serve/origin/kinds/http-origin.ts";
import type { Source } from "../source.ts";
import { createLineListing, type LineListingOptions } from "./lines.ts";
import { type KeyBases, objectBelow, objectOf, readListedUrl, type UrlEncoding } from "./listed-url.ts";
import { openFile } from "./local-body.ts";
import { createHosts, fetchFrom, type Listing } from "./origins.ts";

type ListOptions = Omit<LineListingOptions, "read">;

export interface UrlListOptions extends ListOptions {
  readonly encoded: UrlEncoding;
}

/** The locator is the URL as written. With `folders` no file: URL is read: the list may come from another machine. */
export function createUrlListSource(options: UrlListOptions, http: HttpOriginOptions): Source {
  const hosts = createHosts(http);
  const read = (line: string) => {
    const url = readListedUrl(line, options.encoded);
    if (!url.isFile || options.folders === undefined) return url;
    throw new HuiyuanError("url_invalid", "file: URLs are not allowed here");
  };
  return {
    ...createLineListing({ ...options, read: (line) => objectOf(read(line).fileid, line) }),
    nameOf: (locator) => readListedUrl(locator, options.encoded).fileid,
    async fetch(request) {
      const url = read(request.object.locator);
      return url.isFile ? openFile(url.path, request.maxBytes, undefined) : fetchFrom(hosts.placeOf(url), request);
    },
    close: hosts.close,
  };
}

export function createKeyListing(options: ListOptions & { readonly bases: KeyBases }): Listing {
  const read = (line: string) =>
    /^[a-z][a-z0-9+.-]*:\/\//i.test(line)
      ? objectBelow(options.bases, readListedUrl(line, "auto"))
      : objectOf(toKey(line));
  return createLineListing({ ...options, read });
}

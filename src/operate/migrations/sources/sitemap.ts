// Lists the images of a web site from its sitemap or sitemap index (https://www.sitemaps.org/protocol.html), which may
// be compressed. An image is an <image:loc>, or a <loc> with the suffix of one.
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { asHuiyuanError, HuiyuanError } from "../../../core/errors.ts";
import { decodeXmlText } from "../../../core/xml.ts";
import type { HttpOriginOptions } from "../../../serve/origin/kinds/http-origin.ts";
import type { SourceObject, SourcePage, UnlistedObject } from "../source.ts";
import { readDocument, unusable } from "./documents.ts";
import { type KeyBases, type ListedUrl, objectBelow, readListedUrl, shownUrl } from "./listed-url.ts";
import { createHosts, type Hosts, type Listing } from "./origins.ts";

/** The bound of the protocol for a decoded sitemap. So much of the listing is in memory. */
const MAX_BYTES = 52_428_800;
const PAGE = 1_000;
const COMMENTS = /<!--[\s\S]*?(?:-->|$)/g;
const ROOT = /<(?:[\w.-]+:)?(urlset|sitemapindex)[\s>]/;
const END = /<\/(?:[\w.-]+:)?(?:urlset|sitemapindex)\s*>\s*$/;
/** An element `loc`, and its prefix: `image:loc` is of another namespace than the sitemap's. */
const LOCS = /<(?:([\w.-]+):)?loc\s*>([^<]*(?:<!\[CDATA\[[^<]*)?)<\//g;
const IMAGE_NAME = /\.(?:jpe?g|gif|bmp|png|webp|tiff?|avif|hei[cf]|ico|svg)$/i;

/** Throws url_invalid and settings_invalid for a URL that is none. */
export function createSitemapListing(url: string, bases: KeyBases, http: HttpOriginOptions): Listing {
  const hosts = createHosts(http);
  readSitemapUrl(url);
  const list = (_after: string | undefined, signal: AbortSignal) => listSitemap(url, { hosts, bases, signal }, true);
  return { isResumable: false, list, close: hosts.close };
}

interface Context {
  readonly hosts: Hosts;
  readonly bases: KeyBases;
  readonly signal: AbortSignal;
}

function readSitemapUrl(text: string): ListedUrl {
  const url = readListedUrl(text, "auto");
  if (url.isFile) throw new HuiyuanError("url_invalid", "A sitemap must have an http: or https: URL");
  return url;
}

async function* listSitemap(url: string, context: Context, mayBeIndex: boolean): AsyncIterable<SourcePage> {
  const { hosts, bases, signal } = context;
  const what = `the sitemap ${shownUrl(url)}`;
  const text = await textOf(await readDocument(hosts.placeOf(readSitemapUrl(url)), MAX_BYTES, signal), what);
  const root = ROOT.exec(text)?.[1];
  if (root === undefined || !END.test(text)) throw unusable(what, "it is no sitemap, or its end is missing");
  if (root === "urlset") yield* pagesOf(text, bases);
  else if (!mayBeIndex) throw unusable(what, "an index names it, and it is an index too");
  else for (const [, , loc = ""] of text.matchAll(LOCS)) yield* listSitemap(urlOf(loc), context, false);
}

/** Servers send a file that is compressed as it is. */
async function textOf(document: Buffer, what: string): Promise<string> {
  try {
    const isPacked = document.subarray(0, 2).equals(Buffer.from([0x1f, 0x8b]));
    const bytes = isPacked ? await promisify(gunzip)(document, { maxOutputLength: MAX_BYTES }) : document;
    return bytes.toString().replace(COMMENTS, "");
  } catch (error) {
    throw unusable(what, (error as Error).message);
  }
}

function urlOf(loc: string): string {
  const plain = /<!\[CDATA\[([\s\S]*?)\]\]>/.exec(loc)?.[1];
  return (plain ?? decodeXmlText(loc)).trim();
}

function* pagesOf(text: string, bases: KeyBases): Iterable<SourcePage> {
  let objects: SourceObject[] = [];
  let failures: UnlistedObject[] = [];
  for (const [, prefix, loc = ""] of text.matchAll(LOCS)) {
    try {
      const url = readListedUrl(urlOf(loc), "auto");
      if (prefix !== undefined || IMAGE_NAME.test(url.fileid)) objects.push(objectBelow(bases, url));
    } catch (error) {
      failures.push({ shown: shownUrl(urlOf(loc)), reason: asHuiyuanError(error).message });
    }
    if (objects.length + failures.length < PAGE) continue;
    yield { objects, failures, cursor: undefined };
    [objects, failures] = [[], []];
  }
  yield { objects, failures, cursor: undefined };
}

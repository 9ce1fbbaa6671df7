// Lists the images of a web site from its sitemap or sitemap index (https://www.sitemaps.org/protocol.html), also
// compressed: each <image:loc>, and each <loc> with the suffix of an image.
import { once } from "node:events";
import { pipeline, type Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { asHuiyuanError, HuiyuanError } from "../../core/errors.ts";
import { decodeXmlText } from "../../core/xml.ts";
import type { HttpOriginOptions } from "../../origin/kinds/http-origin.ts";
import type { SourceObject, SourcePage, UnlistedObject } from "../source.ts";
import { createHosts, type Hosts, targetOf } from "./hosts.ts";
import { readListedUrl, shownUrl } from "./listed-url.ts";
import type { Listing } from "./origins.ts";
import { openDocument } from "./pages.ts";
import { type KeyBases, objectBelow } from "./site-lists.ts";

export interface SitemapOptions {
  /** http or https. */
  readonly url: string;
  readonly bases: KeyBases;
}

/** The bounds of the protocol: bytes of a decoded sitemap, and its entries. */
const MAX_BYTES = 52_428_800;
const MAX_SITEMAPS = 50_000;
/** Characters of an element or a comment. */
const MAX_TOKEN = 8_192;
/** A comment, perhaps without its end; the beginning or end of a root; an element `loc` of any namespace. */
const TOKENS = new RegExp(
  [
    "<!--(?<comment>[^]*?(?:-->|$))",
    "<(?<slash>/?)(?:[\\w.-]+:)?(?<root>urlset|sitemapindex)[\\s>]",
    "<(?:(?<prefix>[\\w.-]+):)?loc\\s*>(?<loc>[^<]*(?:<!\\[CDATA\\[[^<]*)?)</",
  ].join("|"),
  "g",
);
const IMAGE_NAME = /\.(?:jpe?g|gif|bmp|png|webp|tiff?|avif|hei[cf]|ico|svg)$/i;

/** Throws url_invalid and settings_invalid for a URL that is none. */
export function createSitemapListing({ url, bases }: SitemapOptions, http: HttpOriginOptions): Listing {
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

function readSitemapUrl(text: string) {
  const url = readListedUrl(text, "auto");
  if (url.isFile) throw new HuiyuanError("url_invalid", "A sitemap must have an http: or https: URL");
  return url;
}

async function* listSitemap(
  url: string,
  context: Context,
  mayBeIndex: boolean,
): AsyncGenerator<SourcePage, void, undefined> {
  const at = readSitemapUrl(url);
  const sitemaps: string[] = [];
  const document = await openDocument(context.hosts.originOf(at), targetOf(at), MAX_BYTES, context.signal);
  try {
    for await (const { isIndex, locs } of entriesOf(await unzipped(document), url)) {
      if (!isIndex) yield pageOf(locs, context.bases);
      else if (!mayBeIndex) throw unusable(url, "an index names it, and it is an index too");
      else sitemaps.push(...locs.map(({ text }) => text));
      if (sitemaps.length > MAX_SITEMAPS) throw unusable(url, `it names more than ${MAX_SITEMAPS} sitemaps`);
    }
  } catch (error) {
    context.signal.throwIfAborted();
    if (error instanceof HuiyuanError) throw error;
    throw unusable(url, (error as Error).message); // of the decompression
  } finally {
    document.destroy();
  }
  for (const sitemap of sitemaps) yield* listSitemap(sitemap, context, false);
}

/** Servers send a file that is compressed as it is. */
async function unzipped(document: Readable): Promise<Readable> {
  await once(document, "readable");
  const head: Buffer | null = document.read(2);
  if (head === null) return document;
  document.unshift(head);
  if (head.readUInt16BE() !== 0x1f8b) return document;
  return pipeline(document, createGunzip(), () => undefined);
}

interface Entry {
  readonly text: string;
  /** An element of another namespace than the sitemap's: `image:loc`. */
  readonly isImage: boolean;
}

/** The entries of each chunk. Throws origin_unexpected for a document that is no whole sitemap. */
async function* entriesOf(chunks: AsyncIterable<Buffer>, url: string) {
  const decoder = new TextDecoder();
  const scanner = createScanner();
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BYTES) throw unusable(url, `it has more than ${MAX_BYTES} bytes`);
    const locs = scanner.push(decoder.decode(chunk, { stream: true }));
    yield { isIndex: scanner.isIndex, locs };
  }
  if (!scanner.isWhole) throw unusable(url, "it is no sitemap, or its end is missing");
}

/** Finds the entries of a sitemap that arrives in parts. It holds no more than one element. */
function createScanner() {
  let rest = "";
  let root: { readonly name: string; readonly isOver: boolean } | undefined;
  return {
    get isIndex() {
      return root?.name === "sitemapindex";
    },
    get isWhole() {
      return root?.isOver === true;
    },
    push(text: string): Entry[] {
      rest += text;
      const locs: Entry[] = [];
      let end = 0;
      for (const { index, 0: whole, groups: found = {} } of rest.matchAll(TOKENS)) {
        if (found.comment?.endsWith("-->") === false) break; // its end is in a later part
        end = index + whole.length;
        if (found.root !== undefined) root = { name: found.root, isOver: found.slash === "/" };
        if (found.loc !== undefined) locs.push({ text: textOf(found.loc), isImage: found.prefix !== undefined });
      }
      rest = rest.slice(end).slice(-MAX_TOKEN);
      return locs;
    },
  };
}

function textOf(loc: string): string {
  const plain = /<!\[CDATA\[([\s\S]*?)\]\]>/.exec(loc)?.[1];
  return (plain ?? decodeXmlText(loc)).trim();
}

function pageOf(locs: readonly Entry[], bases: KeyBases): SourcePage {
  const objects: SourceObject[] = [];
  const failures: UnlistedObject[] = [];
  for (const { text, isImage } of locs) {
    try {
      const url = readListedUrl(text, "auto");
      if (isImage || IMAGE_NAME.test(url.fileid)) objects.push(objectBelow(bases, url));
    } catch (error) {
      failures.push({ shown: shownUrl(text), reason: asHuiyuanError(error).message });
    }
  }
  return { objects, failures, cursor: undefined };
}

function unusable(url: string, found: string): HuiyuanError {
  return new HuiyuanError("origin_unexpected", `Cannot read the sitemap ${shownUrl(url)}: ${found}`);
}

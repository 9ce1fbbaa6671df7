// The source `Qiniu`: the objects of a bucket of Qiniu (七牛云存储), listed by version 1 of its listing and read by the
// origin, which signs the URLs of a private bucket when it downloads.
import { createHmac } from "node:crypto";
import { HuiyuanError } from "../../core/errors.ts";
import { parseHome } from "../../origin/exchange/hop.ts";
import { createHttpOrigin, type HttpOriginOptions } from "../../origin/kinds/http-origin.ts";
import { type HttpOriginRules, hashedId } from "../../origin/kinds/http-rules.ts";
import { qiniuRules } from "../../origin/kinds/qiniu.ts";
import type { Origin } from "../../origin/origin.ts";
import type { Source, SourceObject, SourcePage } from "../source.ts";
import { createKeySource, type Listing } from "./origins.ts";
import { readPage } from "./pages.ts";

export interface QiniuListingOptions {
  readonly bucket: string;
  readonly accessKey: string;
  readonly secretKey: string;
  /** URL of the host that lists; undefined: that of East China. */
  readonly endpoint?: string | undefined;
  /** Items with startOffset ≤ index < startOffset + total, in the order of the listing. */
  readonly startOffset: number;
  readonly total: number;
}

export interface QiniuSourceOptions extends QiniuListingOptions {
  /** A download domain as a URL. */
  readonly domain: string;
  readonly referer: string | undefined;
  readonly isPrivate: boolean;
}

const LISTING_ENDPOINT = "https://rsf.qbox.me";
const PAGE = 1_000;

/** Throws settings_invalid. */
export function createQiniuSource(options: QiniuSourceOptions, http: HttpOriginOptions): Source {
  const { allowPrivate } = http;
  const rules = qiniuRules({ ...options, private: options.isPrivate, allowPrivate });
  return createKeySource(createQiniuListing(options, http), createHttpOrigin(http, rules));
}

/** The cursor is `<items before>:<marker>`; the marker is empty behind the last item. Throws settings_invalid. */
function createQiniuListing(options: QiniuListingOptions, http: HttpOriginOptions): Listing {
  const origin = createHttpOrigin(http, listingRules(options));
  const list = (after: string | undefined, signal: AbortSignal) => listPages(origin, options, after, signal);
  return { isResumable: true, list, close: origin.close };
}

/** https://developer.qiniu.com/kodo/1284/list, signed as https://developer.qiniu.com/kodo/1201/access-token */
function listingRules({ endpoint = LISTING_ENDPOINT, bucket, accessKey, secretKey }: QiniuListingOptions) {
  const home = parseHome(endpoint);
  return {
    id: hashedId("qiniu-list", [endpoint, bucket, accessKey, secretKey]),
    home,
    head: {},
    target: ({ query }) => `${home.basePath}/list?${query}`,
    async sign(_method, url) {
      const signed = `${url.slice(home.origin.length)}\n`;
      const mac = createHmac("sha1", secretKey).update(signed).digest("base64");
      return { authorization: `QBox ${accessKey}:${mac.replaceAll("+", "-").replaceAll("/", "_")}` };
    },
    refuseRedirect(url) {
      throw new HuiyuanError("origin_redirect", `Cannot list "${bucket}": "${url}" redirects`);
    },
    readError: (_status, body = "") => ({
      isAbsent: false,
      detail: /"error"\s*:\s*"([\x20-\x7e]{1,200}?)"/.exec(body)?.[1],
    }),
  } satisfies HttpOriginRules;
}

async function* listPages(
  origin: Origin,
  { bucket, startOffset, total }: QiniuListingOptions,
  after: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<SourcePage, void, undefined> {
  const [, digits = "0", from = ""] = /^(\d+):(.*)$/.exec(after ?? "") ?? [];
  const end = startOffset + total;
  let [index, marker] = [Number(digits), from];
  while (index < end && (index === 0 || marker !== "")) {
    const query = `bucket=${encodeURIComponent(bucket)}&limit=${PAGE}`;
    const text = await readPage(
      origin,
      marker === "" ? query : `${query}&marker=${encodeURIComponent(marker)}`,
      signal,
    );
    const page = parsePage(text);
    if (page === undefined) throw unusable(bucket, "the response is no listing");
    if (marker !== "" && page.marker === marker) throw unusable(bucket, "a page continues at its own beginning");
    const objects = page.objects.slice(Math.max(0, startOffset - index), Math.max(0, end - index));
    index += page.objects.length;
    marker = page.marker;
    yield { objects, failures: [], cursor: `${index}:${marker}` };
    if (marker === "") return;
  }
}

/** Undefined: it is no page of a listing. */
function parsePage(text: string): { readonly objects: readonly SourceObject[]; readonly marker: string } | undefined {
  try {
    const { items, marker } = JSON.parse(text) as Readonly<Record<string, unknown>>;
    if (items === undefined || (marker !== undefined && typeof marker !== "string")) return undefined;
    return { objects: ((items ?? []) as readonly unknown[]).map(toObject), marker: marker ?? "" };
  } catch {
    return undefined; // no JSON, or of another shape
  }
}

/** Throws TypeError. */
function toObject(item: unknown): SourceObject {
  const { key, fsize, hash } = item as Readonly<Record<string, unknown>>;
  if (typeof key !== "string") throw new TypeError("an item has no key");
  return {
    fileid: key,
    locator: key,
    size: typeof fsize === "number" ? fsize : undefined,
    version: typeof hash === "string" ? hash : undefined,
  };
}

function unusable(bucket: string, found: string): HuiyuanError {
  return new HuiyuanError("origin_unexpected", `Cannot list the bucket "${bucket}": ${found}`);
}

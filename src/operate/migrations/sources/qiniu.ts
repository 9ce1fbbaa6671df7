// The source `Qiniu`: lists the objects of a bucket of Qiniu (七牛云存储). The origin reads them, and signs the URLs of a
// private bucket when it downloads.
import { createHmac } from "node:crypto";
import { z } from "zod";
import { HuiyuanError } from "../../../core/errors.ts";
import { parseHome } from "../../../serve/origin/exchange/hop.ts";
import { createHttpOrigin, type HttpOriginOptions } from "../../../serve/origin/kinds/http-origin.ts";
import { type HttpOriginRules, hashedId } from "../../../serve/origin/kinds/http-rules.ts";
import { type QiniuOptions, qiniuRules } from "../../../serve/origin/kinds/qiniu.ts";
import type { Origin } from "../../../serve/origin/origin.ts";
import type { Source, SourcePage } from "../source.ts";
import { readPage, unusable } from "./documents.ts";
import { createKeySource } from "./origins.ts";

export interface QiniuSourceOptions extends Pick<QiniuOptions, "domain" | "referer"> {
  readonly bucket: string;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly isPrivate: boolean;
  /** URL of the host that lists; undefined: that of East China. */
  readonly endpoint: string | undefined;
  /** Items with startOffset ≤ index < startOffset + total, in the order of the listing. */
  readonly startOffset: number;
  readonly total: number;
}

const LISTING_ENDPOINT = "https://rsf.qbox.me";
const PAGE = 1_000;

/** The cursor is `<items before>:<marker>`; the marker is empty behind the last item. Throws settings_invalid. */
export function createQiniuSource(options: QiniuSourceOptions, http: HttpOriginOptions): Source {
  const { allowPrivate } = http;
  const rules = qiniuRules({ ...options, private: options.isPrivate, allowPrivate });
  const lister = createHttpOrigin(http, listingRules(options));
  const list = (after: string | undefined, signal: AbortSignal) => listPages(lister, options, after, signal);
  return createKeySource({ isResumable: true, list, close: lister.close }, createHttpOrigin(http, rules));
}

/** https://developer.qiniu.com/kodo/1284/list, signed as https://developer.qiniu.com/kodo/1201/access-token */
function listingRules({ endpoint = LISTING_ENDPOINT, bucket, accessKey, secretKey }: QiniuSourceOptions) {
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
  { bucket, startOffset, total }: QiniuSourceOptions,
  after: string | undefined,
  signal: AbortSignal,
): AsyncIterable<SourcePage> {
  const [, digits = "0", from = ""] = /^(\d+):(.*)$/.exec(after ?? "") ?? [];
  const end = startOffset + total;
  const fail = (found: string) => unusable(`the bucket "${bucket}"`, found);
  let [index, marker] = [Number(digits), from];
  while (index < end && (index === 0 || marker !== "")) {
    const next: Record<string, string> = marker === "" ? {} : { marker };
    const page = parsePage(await readPage(origin, { bucket, limit: String(PAGE), ...next }, signal));
    if (page === undefined) throw fail("the response is no listing");
    if (marker !== "" && page.marker === marker) throw fail("a page continues at its own beginning");
    const items = page.items ?? [];
    const objects = items
      .slice(Math.max(0, startOffset - index), Math.max(0, end - index))
      .map(({ key, fsize: size, hash: version }) => ({ fileid: key, locator: key, size, version }));
    index += items.length;
    marker = page.marker;
    yield { objects, failures: [], cursor: `${index}:${marker}` };
    if (marker === "") return;
  }
}

const ITEM = z.object({
  key: z.string(),
  fsize: z.number().optional().catch(undefined),
  hash: z.string().optional().catch(undefined),
});
const PAGE_SHAPE = z.object({ items: z.array(ITEM).nullable(), marker: z.string().default("") });

/** Undefined: it is no page of a listing. */
function parsePage(text: string): z.infer<typeof PAGE_SHAPE> | undefined {
  try {
    return PAGE_SHAPE.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined; // no JSON
  }
}

// Finds the watermark images of a recipe by their URLs, in the bucket of the image that they are laid over and nowhere
// else. The mirror of the URL's domain fetches an image that the bucket lacks. The URL itself is never dialled.

import { errorKind, faultOf, HuiyuanError } from "../../../core/errors.ts";
import { WANTED_WATERMARK } from "../../image/geometry/watermark-size.ts";
import { WATERMARK_PARAMETER } from "../../image/grammar/recipe.ts";
import { watermarkName } from "../../image/grammar/watermark-token.ts";
import { MAX_WATERMARK_BYTES } from "../../image/watermark-files.ts";
import type { RemainingLife } from "../../mirror/freshness/freshness.ts";
import type { WatermarkImage } from "../../mirror/variants/variants.ts";
import { redactTarget } from "../../sign/redact.ts";
import { tokenFromQuery } from "../../sign/token.ts";
import { admitNamed, admittedByBoth } from "../request/authorizer.ts";
import type { Requester } from "../request/exchange.ts";
import { type NamedObject, nameObject, type ObjectUrl } from "../request/object-name.ts";
import type { Authorizer, DownloadGrant, Site, Sites } from "../request/site.ts";
import { parseTarget } from "../request/target.ts";
import { shorterLife } from "../response/cache-control.ts";
import type { DownloadContext } from "./download-context.ts";
import { locate, NOTHING } from "./locate.ts";
import { suspectOriginalError, wholeOf } from "./whole-original.ts";

export interface WatermarkSearch {
  readonly exchange: Requester;
  readonly sites: Sites;
  /** The domain of the image that they are laid over; only images of its bucket may be used. */
  readonly site: Site;
  /** The client's token, if the client wrote the instruction: the watermark needs this token or one in its own URL. */
  readonly client: DownloadContext["token"];
}

export interface FoundWatermarks {
  /** By `watermarkName`. */
  readonly watermarks: ReadonlyMap<string, WatermarkImage>;
  /** The shortest lifetime of all watermarks; the variant lives no longer. */
  readonly life: RemainingLife | undefined;
  /** False: an origin forbids storing its watermark, so the variant must not be stored either. */
  readonly isStorable: boolean;
  /** The rights that tokens in watermark URLs give; undefined: no URL has a token. */
  readonly grant: DownloadGrant | undefined;
  /** The caller calls it once, when the images are no longer needed. */
  release(): void;
}

/** `urls`: as written. Throws processing_invalid, the sign_* codes, and those of Mirror.fetch but not_found. */
export async function findWatermarks(urls: readonly string[], search: WatermarkSearch): Promise<FoundWatermarks> {
  const counted = new Set<string>();
  const searches = await Promise.allSettled(urls.map((url) => findWatermark(url, search, counted)));
  const release = () => {
    for (const each of searches) if (each.status === "fulfilled") each.value.release?.();
  };
  const watermarks = new Map<string, WatermarkImage>();
  let life: RemainingLife | undefined;
  let isStorable = true;
  let grant: DownloadGrant | undefined;
  for (const [index, each] of searches.entries()) {
    if (each.status === "rejected") {
      release();
      throw each.reason;
    }
    watermarks.set(watermarkName(urls[index] as string), each.value.watermark); // One search a URL.
    life = shorterLife(life, each.value.life);
    isStorable &&= each.value.isStorable;
    const own = each.value.grant;
    grant = grant === undefined || own === undefined ? (grant ?? own) : admittedByBoth(grant, own);
  }
  return { watermarks, life, isStorable, grant, release };
}

interface FoundWatermark extends Pick<FoundWatermarks, "life" | "isStorable" | "grant"> {
  readonly watermark: WatermarkImage;
  readonly release?: () => void;
}

/** `counted`: tokens of other watermarks; each token is spent once a request. */
async function findWatermark(text: string, search: WatermarkSearch, counted: Set<string>): Promise<FoundWatermark> {
  const { site, url, sign } = readWatermarkUrl(text, search);
  const object = nameObject(site, url);
  // In the era of Qiniu the recipe holds the instruction of the watermark.
  if (object.instruction !== undefined && search.site.era !== "qiniu")
    throw badWatermark(text, "it has an instruction of its own", undefined, `${WANTED_URL}, without an instruction`);
  const grant = admitWatermark(search.client, { authorizer: site.authorizer, sign, object, counted });
  // No client headers: they are about the image of the URL, not about the watermark.
  const request = { exchange: search.exchange, site, url, object, headers: {}, ...WATERMARK };
  const located = await locate(request, NOTHING).catch((error: unknown) => {
    throw faultOfWatermark(text, error);
  });
  if (located.kind === "stored") {
    const { info } = located.object;
    refuseTooLarge(text, info.size);
    const watermark = { sha256: info.hashes.sha256, bytes: site.stored.bytesOf(info) };
    return { watermark, life: located.life, isStorable: true, grant };
  }
  if (located.kind === "absent") throw faultOfWatermark(text, located.error);
  if (located.kind !== "fetch" || located.answer.kind === "head") throw badWatermark(text, NOT_THERE);
  const { release } = located.answer;
  try {
    const whole = await wholeOf(located, () => new AbortController().signal);
    if (whole === undefined) throw suspectOriginalError();
    const { info, life, isStorable } = whole;
    refuseTooLarge(text, info.size);
    return { watermark: { sha256: info.hashes.sha256, bytes: whole }, life, isStorable, grant, release };
  } catch (error) {
    release();
    throw faultOfWatermark(text, error);
  }
}

const WATERMARK = { processing: undefined, role: "watermark" } as const;

/**
 * The rights that the watermark's own token gives. Undefined if its URL has no token of its own or needs none. Throws
 * the sign_* codes if neither that token nor the client's covers the watermark.
 */
function admitWatermark(
  client: WatermarkSearch["client"],
  {
    authorizer,
    sign,
    object,
    counted,
  }: {
    readonly authorizer: Authorizer | undefined;
    readonly sign: string | undefined;
    readonly object: NamedObject;
    readonly counted: Set<string>;
  },
): DownloadGrant | undefined {
  if (client === undefined || authorizer === undefined) return undefined;
  const { grant } = admitNamed(authorizer, sign ?? client.sign, { object });
  // The client's own token was admitted with its request.
  if (sign === undefined || sign === client.sign || counted.has(sign)) return undefined;
  counted.add(sign);
  if (grant.isSpent?.() === true)
    throw new HuiyuanError("sign_spent", "Cannot use a watermark: its one-time signature has been used before");
  return grant;
}

const NOT_THERE = "this bucket has no such image";

/** Names the watermark in the error, because the client requested another image. */
function faultOfWatermark(text: string, error: unknown): unknown {
  if (!(error instanceof HuiyuanError) || error.parameter !== undefined) return error;
  const { code, message, retryAfterSeconds } = error;
  const kind = errorKind(error);
  if (kind === "absent") return badWatermark(text, NOT_THERE, error);
  if (kind === "broken") return badWatermark(text, message, error);
  if (faultOf(code) !== "origin") return error;
  const found = `Cannot lay "${redactTarget(text)}" over the image: ${message}`;
  return new HuiyuanError(code, found, {
    parameter: WATERMARK_PARAMETER,
    cause: error,
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
  });
}

/** `kodo://<bucket>/<key>`, in the era of Qiniu. */
const KODO = /^kodo:\/\/([^/]+)(?=\/)/i;

function readWatermarkUrl(
  text: string,
  { sites, site: own }: WatermarkSearch,
): { readonly site: Site; readonly url: ObjectUrl; readonly sign: string | undefined } {
  const { bucketId } = own.stored;
  const [start = "", bucket] = KODO.exec(text) ?? [];
  if (bucket === undefined && !/^https?:\/\//i.test(text))
    throw badUrl(text, "it does not begin with http:// or https://");
  try {
    // One character a byte, as a request-target arrives.
    const { host, key, rawQuery } = parseTarget(Buffer.from(text.slice(start.length)).toString("latin1"), []);
    const { sign, rest } = tokenFromQuery(rawQuery);
    if (bucket !== undefined && !bucketId.endsWith(`/${bucket}`)) throw badUrl(text, "it names another bucket");
    const site = bucket === undefined ? sites.find(host) : own;
    if (site?.stored.bucketId !== bucketId) throw badUrl(text, "its host does not serve this bucket");
    const domain = site.domain === "*" ? "" : site.domain;
    return { site, url: { host: bucket === undefined ? host : domain, path: key, query: rest, method: "GET" }, sign };
  } catch (error) {
    if (error instanceof HuiyuanError && error.code !== "processing_invalid")
      throw badUrl(text, "it is not a URL", error);
    throw error;
  }
}

function refuseTooLarge(text: string, bytes: number): void {
  if (bytes > MAX_WATERMARK_BYTES)
    throw badWatermark(text, `it has ${bytes} bytes, the limit is ${MAX_WATERMARK_BYTES}`);
}

const WANTED_URL = "the URL of an image at a host of this bucket";

function badUrl(text: string, found: string, cause?: unknown): HuiyuanError {
  return badWatermark(text, found, cause, WANTED_URL);
}

function badWatermark(text: string, found: string, cause?: unknown, wanted = WANTED_WATERMARK): HuiyuanError {
  const message = `Cannot lay "${redactTarget(text)}" over the image: ${found}`;
  return new HuiyuanError("processing_invalid", message, { parameter: WATERMARK_PARAMETER, wanted, cause });
}

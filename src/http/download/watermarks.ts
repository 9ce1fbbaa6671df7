// The images that a recipe lays over another: found by their URLs in the same bucket and nowhere else, host and path. One that
// the bucket lacks is fetched by the mirror of its own domain, like any original; the URL itself is never dialled.

import type { Cancellation } from "../../async/cancellation.ts";
import { type ErrorCode, HuiyuanError } from "../../core/errors.ts";
import { WATERMARK_PARAMETER } from "../../image/grammar/recipe.ts";
import { watermarkName } from "../../image/grammar/watermark-token.ts";
import { WANTED_WATERMARK } from "../../image/limits/blame.ts";
import { MAX_WATERMARK_BYTES } from "../../image/renderer.ts";
import { absent } from "../../mirror/negative-cache.ts";
import { askedUnder } from "../../mirror/rules.ts";
import type { Stored } from "../../mirror/stored/stored.ts";
import type { WatermarkImage } from "../../mirror/variants/variants.ts";
import { redactTarget } from "../../sign/redact.ts";
import { tokenFromQuery } from "../../sign/token.ts";
import { missRouteOf, type NamedObject, nameObject, type ObjectUrl } from "../request/object-name.ts";
import type { Admission, Authorizer, Site, Sites } from "../request/site.ts";
import { parseTarget } from "../request/target.ts";
import { admitNamed, admittedByBoth } from "../request/token-scope.ts";
import { type AnswerLife, shorterLife } from "../response/cache-control.ts";
import type { DownloadContext } from "./download-context.ts";
import { type CurrentVersion, currentVersionOf, type RevalidationContext } from "./freshness.ts";
import { preferStoreFailure } from "./located.ts";
import { suspectOriginalError, wholeOf } from "./whole-original.ts";

export interface WatermarkSearch {
  readonly sites: Sites;
  /** The bucket of the image that they are laid over. */
  readonly stored: Stored;
  /** Of a client that brings its own instruction: its token must be for the mark too, or the mark's URL has one. */
  readonly client: DownloadContext["token"];
  readonly via: string | undefined;
  readonly cdnLoop: string | undefined;
  readonly signal: Cancellation;
}

export interface FoundWatermarks {
  /** By `markName`. */
  readonly watermarks: ReadonlyMap<string, WatermarkImage>;
  /** That of the mark which ages first; what is made of them lives no longer. */
  readonly life: AnswerLife | undefined;
  /** False: the origin of one forbids to keep it, and so what is made of it. */
  readonly isStorable: boolean;
  /** Of the marks that have tokens of their own; undefined: none has. */
  readonly admission: Admission | undefined;
  /** To be called when the marks are not needed any more. */
  release(): void;
}

/** `urls`: as written. Throws processing_invalid, the sign_* codes, and those of Mirror.fetch but not_found. */
export async function findWatermarks(urls: readonly string[], search: WatermarkSearch): Promise<FoundWatermarks> {
  const counted = new Set<string>();
  const searches = await Promise.allSettled(urls.map((url) => findWatermark(url, search, counted)));
  const release = () => {
    for (const each of searches) if (each.status === "fulfilled") each.value.letGo?.();
  };
  const watermarks = new Map<string, WatermarkImage>();
  let life: AnswerLife | undefined;
  let isStorable = true;
  let admission: Admission | undefined;
  for (const [index, each] of searches.entries()) {
    if (each.status === "rejected") {
      release();
      throw each.reason;
    }
    watermarks.set(watermarkName(urls[index] as string), each.value.watermark); // a search for each URL
    life = shorterLife(life, each.value.life);
    isStorable &&= each.value.isStorable;
    const own = each.value.admission;
    admission = admission === undefined || own === undefined ? (admission ?? own) : admittedByBoth(admission, own);
  }
  return { watermarks, life, isStorable, admission, release };
}

interface FoundWatermark extends Pick<FoundWatermarks, "life" | "isStorable" | "admission"> {
  readonly watermark: WatermarkImage;
  readonly letGo?: () => void;
}

/** `counted`: tokens of other marks, each of which is spent but once. */
async function findWatermark(text: string, search: WatermarkSearch, counted: Set<string>): Promise<FoundWatermark> {
  const { site, url, sign } = readWatermarkUrl(text, search);
  const object = nameObject(site, url);
  if (object.instruction !== undefined) throw badUrl(text, "it has an instruction of its own");
  const { via, cdnLoop, signal } = search;
  const admission = admitWatermark(search.client, { authorizer: site.authorizer, sign, object, counted });
  // Nothing of what the client's headers say of another image.
  const asker = { site, url, object, headers: {}, via, cdnLoop, cancellation: () => signal };
  const version = await versionOf(asker).catch((error: unknown) => {
    throw faultOfWatermark(text, error);
  });
  if (version.kind === "stored") {
    const { info, life } = version;
    refuseTooLarge(text, info.size);
    return {
      watermark: { sha256: info.hashes.sha256, bytes: site.stored.bytesOf(info) },
      life,
      isStorable: true,
      admission,
    };
  }
  const { answer, route } = version;
  if (answer.kind === "asked") throw badWatermark(text, NOT_THERE);
  const { head, isStorable, release: letGo } = answer;
  try {
    const bytes = await wholeOf(answer);
    if (bytes === undefined) throw suspectOriginalError();
    const { info } = bytes;
    refuseTooLarge(text, info.size);
    const life = route.mirror.revalidation.lifeOfAnswer(head);
    return { watermark: { sha256: info.hashes.sha256, bytes }, life, isStorable, admission, letGo };
  } catch (error) {
    letGo();
    throw faultOfWatermark(text, error);
  }
}

/** What the mark's own token allows; undefined: there is none, or none is needed. Throws the sign_* codes. */
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
): Admission | undefined {
  if (client === undefined || authorizer === undefined) return undefined;
  const { admission } = admitNamed(authorizer, sign ?? client.sign, { object });
  // The client's token counts for its request as a whole.
  if (sign === undefined || sign === client.sign || counted.has(sign)) return undefined;
  counted.add(sign);
  if (admission.isSpent?.() === true)
    throw new HuiyuanError("sign_spent", "Cannot lay a mark: its one-time signature has been used before");
  return admission;
}

/** What is stored, its age heeded like that of any original, or what the mirror brings. Throws the codes of Mirror.fetch, store_failed. */
async function versionOf(asker: RevalidationContext): Promise<Exclude<CurrentVersion, { readonly kind: "gone" }>> {
  const { site, url, object, headers, via, cdnLoop } = asker;
  const entry = await site.stored.lookup(object.key);
  if (entry.state === "object") {
    const current = await currentVersionOf(asker, entry);
    return current.kind === "gone" ? versionOf(asker) : current;
  }
  const route = entry.state === "tombstone" ? undefined : missRouteOf(site, url);
  const failure = entry.state === "absent" ? entry.failure : undefined;
  if (route?.action !== "mirror") throw failure ?? absent(object.key);
  const { epoch } = entry;
  const asked = askedUnder(route, object.request, headers);
  const signal = asker.cancellation();
  const request = { ...asked, method: "GET", wantsWhole: true, via, cdnLoop, signal, epoch } as const;
  const answer = await route.mirror.fetch(request).catch((error: unknown) => {
    throw preferStoreFailure(error, failure);
  });
  return { kind: "fetched", answer, route };
}

const NOT_THERE = "there is no such image in this bucket";
/** What the origin has is no image that could be laid. */
const UNUSABLE: readonly ErrorCode[] = [
  ...(["origin_not_image", "origin_truncated", "origin_empty", "origin_too_large"] as const),
  ...(["origin_type_refused", "origin_hash_wrong", "origin_encoded"] as const),
];

/** Whose fault it is must be told: the client has asked for another image. */
function faultOfWatermark(text: string, error: unknown): unknown {
  if (!(error instanceof HuiyuanError) || error.parameter !== undefined) return error;
  const { code, message, retryAfterSeconds } = error;
  if (code === "not_found") return badWatermark(text, NOT_THERE, error);
  if (UNUSABLE.includes(code)) return badWatermark(text, message, error);
  if (!code.startsWith("origin_")) return error;
  const found = `Cannot lay "${redactTarget(text)}" over the image: ${message}`;
  return new HuiyuanError(code, found, {
    parameter: WATERMARK_PARAMETER,
    cause: error,
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
  });
}

function readWatermarkUrl(
  text: string,
  { sites, stored }: WatermarkSearch,
): { readonly site: Site; readonly url: ObjectUrl; readonly sign: string | undefined } {
  if (!/^https?:\/\//i.test(text)) throw badUrl(text, "it does not begin with http://");
  try {
    // As it comes over the wire, one character a byte.
    const { host, key, rawQuery } = parseTarget(Buffer.from(text).toString("latin1"), []);
    const { sign, rest } = tokenFromQuery(rawQuery);
    const site = sites.find(host);
    if (site?.stored.bucketId !== stored.bucketId) throw badUrl(text, "its host is none of this bucket's");
    return { site, url: { host, path: key, query: rest, method: "GET" }, sign };
  } catch (error) {
    if (error instanceof HuiyuanError && error.code !== "processing_invalid") throw badUrl(text, "it is no URL", error);
    throw error;
  }
}

function refuseTooLarge(text: string, bytes: number): void {
  if (bytes > MAX_WATERMARK_BYTES)
    throw badWatermark(text, `it has ${bytes} bytes, the limit is ${MAX_WATERMARK_BYTES}`);
}

const WANTED_URL = "the URL of an image at a host of this bucket, without an instruction";

function badUrl(text: string, found: string, cause?: unknown): HuiyuanError {
  return badWatermark(text, found, cause, WANTED_URL);
}

function badWatermark(text: string, found: string, cause?: unknown, wanted = WANTED_WATERMARK): HuiyuanError {
  const message = `Cannot lay "${redactTarget(text)}" over the image: ${found}`;
  return new HuiyuanError("processing_invalid", message, { parameter: WATERMARK_PARAMETER, wanted, cause });
}

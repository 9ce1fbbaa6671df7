// Serves a processed download up to its original: finds the original, or fetches and stores it like any other, and
// keeps it fresh. serve-variant.ts looks up or renders the variant. A variant in memory is as cheap as any memory hit.
import { HuiyuanError } from "../../core/errors.ts";
import { type ObjectInfo, toKey } from "../../core/object.ts";
import type { MissAnswer } from "../../mirror/fill/join.ts";
import { originRequestFor, originRequestForProcessed } from "../../mirror/rules.ts";
import type { CachedObject } from "../../mirror/stored/memory-cache.ts";
import type { StoredObject } from "../../mirror/stored/stored.ts";
import { aliasIn, missRouteOf } from "../request/object-name.ts";
import { negotiatedFor, type ProcessingRequest, refuseBoth } from "../request/processing-request.ts";
import type { Route } from "../request/site.ts";
import { answerObject, type ObjectBytes } from "../response/answer.ts";
import { answerFilling } from "../response/answer-filling.ts";
import type { AnswerLife } from "../response/cache-control.ts";
import {
  CACHE_STATUS,
  clientSignal,
  contextOf,
  type DownloadContext,
  withLookupOf,
  withUnknownStore,
} from "./download-context.ts";
import { currentVersionOf, freshLife, revalidationContextOf } from "./freshness.ts";
import { fetchInstead, preferStoreFailure, replacedStatus, serveLocated } from "./located.ts";
import {
  fetchAndServe,
  type Miss,
  missRequestOf,
  missStatus,
  passRedirect,
  redirectToOrigin,
  serveFallback,
} from "./miss.ts";
import { isOriginalFree, serveVariant, type VariantSource } from "./serve-variant.ts";
import { isTransientGone, suspectOriginalError, wholeOf } from "./whole-original.ts";

/** An image in memory, and its remaining life; undefined: it never becomes stale. */
export interface MemoryHit {
  readonly object: CachedObject;
  readonly life: AnswerLife | undefined;
}

/** The variant, if it and a fresh original are known without a look-up. */
export function variantInMemory(
  { site, url, exchange }: DownloadContext,
  processing: ProcessingRequest,
): MemoryHit | undefined {
  const info = site.stored.peekInfo(processing.original.key);
  const named = negotiatedFor(processing.named, exchange.request.headers.accept);
  if (info === undefined || info === "absent" || named.watermarks.length > 0) return undefined;
  const fresh = freshLife({ site, url: { ...url, path: processing.path } }, info);
  const object = fresh && site.variants.peek(info, named);
  return object && { object, life: fresh?.life };
}

export function serveProcessed(download: DownloadContext, processing: ProcessingRequest): Promise<void> {
  const { site, exchange } = download;
  const original = originalOf(download, processing);
  const info = site.stored.peekInfo(processing.original.key);
  const named = negotiatedFor(processing.named, exchange.request.headers.accept);
  if (info === undefined || info === "absent" || named.watermarks.length > 0) return serveCold(original, processing);
  const fresh = freshLife(original, info);
  if (fresh === undefined) return serveCold(original, processing);
  return serveKnown(original, processing, { info, life: fresh.life });
}

/** The context of a download of the original. */
function originalOf(download: DownloadContext, { path, original }: ProcessingRequest): DownloadContext {
  return { ...download, url: { ...download.url, path }, object: original };
}

/** Fetches of an original that the disk refuses, if other readers are faster each time. */
const MAX_TRANSIENT_FETCHES = 3;
/** Retries if the original was replaced or removed before it could be rendered. */
const MAX_REPLACED = 3;

async function serveCold(
  original: DownloadContext,
  processing: ProcessingRequest,
  repeats = MAX_REPLACED,
): Promise<void> {
  const { stored, variants } = original.site;
  const { key } = processing.original;
  const since = variants.moment();
  const entry = await stored.lookup(key);
  if (entry.state === "tombstone") throw new HuiyuanError("deleted", `Cannot serve "${key}": it was deleted`);
  if (entry.state === "absent") {
    const { epoch, failure } = entry;
    return serveUnstored(withLookupOf(original, entry), processing, { epoch, since }).catch((error: unknown) => {
      const isReplaced = error instanceof HuiyuanError && error.code === "original_replaced";
      // A fetched original cannot be replaced, so this error is about a watermark.
      if (isReplaced && repeats > 0) return retryServing(original, processing, error, repeats);
      throw preferStoreFailure(error, failure);
    });
  }
  try {
    const isUnknown = entry.isPending === true && stored.bucket.isUnknown(key);
    await serveStored(isUnknown ? withUnknownStore(original) : original, processing, entry, since);
  } catch (error) {
    if (repeats === 0) throw error;
    await retryServing(original, processing, error, repeats);
  }
}

/** Serves a variant of a stored original that memory knows to be fresh. */
async function serveKnown(
  original: DownloadContext,
  processing: ProcessingRequest,
  { info, life }: Pick<VariantSource, "info" | "life">,
): Promise<void> {
  try {
    const { stored, variants } = original.site;
    const source = { info, since: variants.moment(), bytes: stored.bytesOf(info), isStorable: true, life };
    await serveVariant(original, processing, source, showStored(info));
  } catch (error) {
    await retryServing(original, processing, error);
  }
}

/** Retries if the original was replaced, was damaged, or the store failed to read it. Rethrows any other error. */
async function retryServing(
  original: DownloadContext,
  processing: ProcessingRequest,
  error: unknown,
  repeats = MAX_REPLACED,
): Promise<void> {
  if (!(error instanceof HuiyuanError) || original.exchange.response.headersSent) throw error;
  if (error.code === "original_replaced") return serveCold(original, processing, repeats - 1);
  // A quarantined object is absent by now. One that stays damaged would fail again, so no further retry.
  if (error.code === "store_corrupt") return serveCold(original, processing, 0);
  if (error.code !== "store_failed") throw error;
  const since = original.site.variants.moment();
  await fetchInstead(original, error, (epoch) =>
    serveUnstored(withUnknownStore(original), processing, { epoch, since }),
  );
}

/** Serves a variant of the stored original, after a revalidation if its freshness requires one. */
async function serveStored(
  original: DownloadContext,
  processing: ProcessingRequest,
  object: StoredObject,
  since: number,
): Promise<void> {
  const current = await currentVersionOf(revalidationContextOf(original), object);
  if (current.kind === "gone") return serveCold(original, processing);
  if (current.kind === "fetched")
    return serveFetched(original, processing, { ...current, since, status: replacedStatus(current.answer) });
  const { info, life, revalidated } = current;
  const source: VariantSource = {
    info,
    since,
    bytes: original.site.stored.bytesOf(info),
    isStorable: true,
    life,
    ...(revalidated !== undefined && { status: CACHE_STATUS.revalidated[revalidated] }),
  };
  await serveVariant(original, processing, source, showStored(info));
}

/** Serves a variant of an original that the bucket lacks. */
async function serveUnstored(
  original: DownloadContext,
  processing: ProcessingRequest,
  { epoch, since }: Pick<Miss, "epoch"> & Pick<VariantSource, "since">,
): Promise<void> {
  const { site, url, exchange } = original;
  const { key, request } = processing.original;
  // If the store did not answer, an original with an alias in its name may exist.
  if (original.isUnknown !== true && aliasIn(site, url) !== undefined) refuseBoth(processing);
  const route = missRouteOf(site, url);
  if (route === undefined || route.action === "none") {
    throw new HuiyuanError("not_found", `Cannot process "${key}": the bucket does not have it and no rule fetches it`);
  }
  const originRequest = originRequestFor(route, request, exchange.request.headers);
  const { suffix } = processing;
  if (route.action !== "mirror")
    return redirectToOrigin(original, { route, request, originRequest, epoch, styleSuffix: suffix });
  // imageInfo and exif return facts, no image, so they are never left to the origin.
  if (route.processedMiss === "origin" && processing.named.recipe.inspection === undefined) {
    const processed = originRequestForProcessed(route, request, exchange.request.headers);
    const target = suffix === "" ? processed : { ...processed, path: toKey(processed.path + suffix) };
    return fetchAndServe(original, { route, originRequest: target, epoch, background: originRequest });
  }
  for (let fetches = 1; ; fetches += 1) {
    const answer = await fetchOriginal(original, { route, originRequest, epoch });
    if (answer === undefined) return;
    try {
      return await serveFetched(original, processing, { answer, route, since });
    } catch (error) {
      if (fetches === MAX_TRANSIENT_FETCHES || exchange.response.headersSent || !isTransientGone(error)) throw error;
    }
  }
}

/** Fetches the original, shared by all requests for it. Undefined: answered with the rule's fallback or a redirect. */
async function fetchOriginal(
  original: DownloadContext,
  { route, originRequest, epoch }: Miss,
): Promise<MissAnswer | undefined> {
  try {
    return await route.mirror.fetch({
      ...missRequestOf(original, originRequest, epoch),
      method: "GET",
      needsWholeBody: true,
    });
  } catch (error) {
    if (!(error instanceof HuiyuanError)) throw error;
    if (error.code === "origin_moved") passRedirect(original, error);
    else if (error.code === "not_found") await serveFallback(original, { route, originRequest }, error);
    else throw error;
    return undefined;
  }
}

/** Serves a variant of a fetched original, after the original is proven whole. */
async function serveFetched(
  original: DownloadContext,
  processing: ProcessingRequest,
  fetched: Pick<VariantSource, "since" | "status"> & { readonly answer: MissAnswer; readonly route: Route },
): Promise<void> {
  const { answer, route, since, status } = fetched;
  if (answer.kind === "head")
    throw new HuiyuanError("internal", "Cannot process: the fetch of the original was a HEAD");
  const { exchange } = original;
  const { spool } = answer.head;
  const life = route.mirror.revalidation.lifeOfAnswer(answer.head);
  const cacheStatus = (isStored: boolean) => status ?? missStatus(answer.how, isStored && original.isUnknown !== true);
  try {
    const whole = await wholeOf(answer);
    if (whole === undefined) {
      // With ignore-error the client gets the damaged original.
      if (!processing.named.recipe.ignoresErrors || !isOriginalFree(original)) throw suspectOriginalError();
      exchange.outcome = { kind: "miss", tier: "origin" };
      const damaged = { ...answer, isSuspect: true } as Extract<MissAnswer, { readonly kind: "filling" }>;
      await answerFilling(exchange, damaged, (state) => contextOf(original, state, cacheStatus(false), life));
      return;
    }
    const { info, notStorable } = whole;
    const status = cacheStatus(notStorable === undefined && answer.isStored());
    const source = { isStorable: answer.isStorable, life, status, isMiss: true };
    await serveVariant(original, processing, { ...source, info, since, bytes: whole }, (shown) => {
      exchange.outcome = { kind: "miss", tier: "origin" };
      const read = (offset: number) => spool.peek(offset) ?? spool.read(offset, clientSignal(exchange));
      const context = contextOf(shown, source.isStorable ? "stored" : "not-storable", source.status, life);
      const bytes: ObjectBytes =
        notStorable === undefined ? { kind: "read", read } : { kind: "memory", body: notStorable };
      return answerObject(exchange, info, bytes, context);
    });
  } finally {
    answer.release();
  }
}

/** Serves the original from the bucket. */
function showStored({ key }: ObjectInfo): (shown: DownloadContext) => Promise<void> {
  return async (shown) => serveLocated(shown, await shown.site.stored.find(key));
}

// Serves one download, top to bottom: admit → locate → transform → answer. A hit in memory, or on the disk if it was
// read a moment ago, needs no locate and does not wait. Each further step is a function in a file of this folder.
// Only finishDownload() begins a download again.
import { errorKind, HuiyuanError } from "../../../core/errors.ts";
import type { RemainingLife } from "../../mirror/freshness/freshness.ts";
import { urlOfKey } from "../../mirror/object-keys.ts";
import type { CachedObject } from "../../mirror/stored/memory-cache.ts";
import { tokenFromQuery } from "../../sign/token.ts";
import { admitNamed, authorizerOfOriginal, refererVerdict, withoutOriginalRequest } from "../request/authorizer.ts";
import { clientSignal, type DownloadExchange } from "../request/exchange.ts";
import { memoize } from "../request/memoize.ts";
import { nameObject, negotiatedFor, type ProcessingRequest, processingOf } from "../request/object-name.ts";
import type { DownloadGrant, Site, Sites } from "../request/site.ts";
import { type RequestTarget, targetOf } from "../request/target.ts";
import { answerObject } from "../response/answer.ts";
import { preflightHeaders } from "../response/cors.ts";
import { answer, answerFallback, sendFound } from "./answer.ts";
import {
  CACHE_STATUS,
  contextOf,
  type DownloadContext,
  type Located,
  type LocatedAbsent,
  type LocateRequest,
} from "./download-context.ts";
import { freshLife } from "./freshness.ts";
import { locate, NOTHING_KNOWN, type StoreFacts } from "./locate.ts";
import { transform } from "./transform.ts";
import { wholeOf } from "./whole-original.ts";

const queryOf = memoize(tokenFromQuery);
const OPEN: DownloadGrant = { scope: { kind: "none" }, spend: undefined };
const FROM_MEMORY = { kind: "hit", tier: "memory" } as const;
const FROM_BUCKET = { kind: "hit", tier: "bucket" } as const;

/**
 * Answers a hit that needs no waiting, or a preflight, in this turn of the event loop. Otherwise returns the admitted
 * download for finishDownload(), and nothing was written. Throws domain_unknown, rate_limited and the other 4xx
 * codes.
 */
export function beginDownload(exchange: DownloadExchange, sites: Sites): DownloadContext | undefined {
  const target = targetOf(exchange.request);
  const site = sites.find(target.host);
  if (site === undefined)
    throw new HuiyuanError(
      "domain_unknown",
      `Cannot serve host "${target.host}": no bucket is bound to it; add it under \`domains\``,
    );
  exchange.site = site;
  // After the site is known, so that the refusal has its headers.
  sites.clients?.countRequest(exchange.request);
  if (exchange.request.method === "OPTIONS") return answerPreflight(exchange, site);
  const context = admit(exchange, { sites, site, target });
  const hit = context.grant.spend === undefined ? findInMemory(context) : undefined;
  if (hit === undefined) return answerRecent(context) ? undefined : context;
  const { info, body } = hit.object;
  const headers = contextOf(context, { state: "stored", cacheStatus: CACHE_STATUS.memory, life: hit.life });
  // Synchronous, since no token is spent.
  void answerObject(exchange, info, { kind: "memory", body }, headers);
  exchange.outcome = FROM_MEMORY;
  return undefined;
}

function answerPreflight({ request, response, requestId }: DownloadExchange, { cors }: Site): undefined {
  response.writeHead(204, [...preflightHeaders(cors, request.headers), "X-Request-Id", requestId]);
  response.end();
}

/** Checks method, Referer and token, and reads which image the URL names. Performs no I/O. Throws the 4xx codes. */
function admit(
  exchange: DownloadExchange,
  { sites, site, target }: { readonly sites: Sites; readonly site: Site; readonly target: RequestTarget },
): DownloadContext {
  const { method, headers } = exchange.request;
  if (method !== "GET" && method !== "HEAD")
    throw new HuiyuanError("method_not_allowed", `Cannot serve ${method}: only GET, HEAD and OPTIONS are allowed`);
  if (!site.isProjectEnabled) throw new HuiyuanError("project_disabled", "Cannot serve: the project is disabled");
  const { host, key: path } = target;
  if (path === undefined) throw new HuiyuanError("path_missing", "Cannot serve: the URL names no image");
  const { sign, rest } = queryOf(target.rawQuery);
  const { originalAuthorizer } = site;
  const query = originalAuthorizer === undefined ? rest : withoutOriginalRequest(rest);
  const url = { host, path, query, method } as const;
  const object = nameObject(site, url);
  const processing = processingOf(site, url, object);
  exchange.isByAccept = processing?.named.negotiated !== undefined;
  const referer = refererVerdict(headers.referer, site.referers);
  // After the URL was read, so that the refusal has the Vary header of the image.
  if (referer === "refused") throw new HuiyuanError("referer_refused", "Cannot serve: the Referer is not allowed");
  const asksForOriginal = query !== rest;
  const ownAuthorizer =
    originalAuthorizer && authorizerOfOriginal(originalAuthorizer, { object, processing, asksForOriginal });
  const authorizer = ownAuthorizer ?? (referer === "listed" ? undefined : site.authorizer);
  const alias = processing?.isAlias === true ? processing : undefined;
  const admitted = authorizer && admitNamed(authorizer, sign, { object, alias });
  return {
    exchange,
    sites,
    site,
    url,
    object,
    headers,
    processing,
    role: "image",
    token: authorizer && { sign },
    grant: admitted?.grant ?? OPEN,
    // A protected bucket never serves an object as it is. A token for the original asks for the variant.
    isNameFirst: alias !== undefined && admitted?.isForOriginal !== true && originalAuthorizer === undefined,
  };
}

interface MemoryHit {
  readonly object: CachedObject;
  /** Undefined: the image never becomes stale. */
  readonly life: RemainingLife | undefined;
}

/** The image of the download, if memory alone shows that it is the right one and fresh. */
function findInMemory(context: DownloadContext): MemoryHit | undefined {
  const { site, object, processing, isNameFirst } = context;
  const named = processing === undefined || isNameFirst ? site.stored.peek(object.key) : undefined;
  if (named !== undefined) {
    const fresh = freshLife(context, named.info);
    return fresh && { object: named, life: fresh.life };
  }
  if (processing === undefined || (isNameFirst && site.stored.peekNote(object.key) !== "absent")) return undefined;
  return variantInMemory(context, processing);
}

/** The variant, if it and a fresh original are known without a look-up. */
function variantInMemory(
  { site, url, exchange }: DownloadContext,
  processing: ProcessingRequest,
): MemoryHit | undefined {
  const original = site.stored.peekNote(processing.original.key);
  const named = negotiatedFor(processing.named, exchange.request.headers.accept);
  if (original === undefined || original === "absent" || named.watermarks.length > 0) return undefined;
  const fresh = freshLife({ site, url: { ...url, path: processing.path } }, original.info);
  const object = fresh && site.variants.peek(original.info, named);
  return object && { object, life: fresh?.life };
}

/** Answers with a fresh object that the bucket reads without waiting. False: nothing was written. */
function answerRecent(context: DownloadContext): boolean {
  const { exchange, site, object, processing, isNameFirst, grant } = context;
  if (grant.spend !== undefined || (processing !== undefined && !isNameFirst)) return false;
  const stored = site.stored.lookupRecent(object.key);
  const fresh = stored && freshLife(context, stored.info);
  const found = fresh && site.stored.openRecent(stored);
  if (found === undefined) return false;
  exchange.outcome = FROM_BUCKET;
  const notes = { state: "stored", cacheStatus: CACHE_STATUS.bucket, life: fresh?.life } as const;
  void sendFound(exchange, site.stored, found, contextOf(context, notes));
  return true;
}

/** Rounds of one download: its object may be replaced or damaged while it is read. */
const MAX_ROUNDS = 3;

/** Begins again from locate() if the object was replaced or damaged meanwhile, and nothing of it was sent. */
export async function finishDownload(context: DownloadContext): Promise<void> {
  let facts = NOTHING_KNOWN;
  for (let round = 1; ; round += 1) {
    try {
      if (context.isNameFirst) await serveNamed(context, facts);
      else await serveImage(context, context.processing, facts);
      return;
    } catch (error) {
      if (!(error instanceof HuiyuanError) || round === MAX_ROUNDS || context.exchange.response.headersSent)
        throw error;
      const { code } = error;
      // The next look-up finds the object that is there now, or none.
      const isGone = errorKind(error) === "replaced";
      const isLast = code === "original_replaced" && round === MAX_ROUNDS - 1;
      const isUnreadable = isLast || (code === "store_failed" && !facts.isUnreadable);
      if (!isGone && !isUnreadable) throw error;
      facts = { ...facts, ...(isUnreadable && { failure: error, isUnreadable }), mayUseNotes: false };
    }
  }
}

/** Serves the object of exactly the alias's name if there is one, else the variant. */
async function serveNamed(context: DownloadContext, facts: StoreFacts): Promise<void> {
  const { stored } = context.site;
  const { key } = context.object;
  const entry = stored.peekNote(key) === "absent" ? undefined : await stored.lookup(key);
  if (entry?.state === "object") {
    try {
      return await serveImage(context, undefined, facts);
    } catch (error) {
      // The object was removed since its look-up, so the name means the alias again.
      if (errorKind(error) !== "absent" || context.exchange.response.headersSent) throw error;
    }
  }
  // If the store did not answer, it may have an object with exactly this name.
  const failure = entry?.state === "absent" ? entry.failure : undefined;
  return serveImage(context, context.processing, failure === undefined ? facts : { ...facts, failure });
}

/** Locates, transforms and answers. `processing`: undefined if the object itself is served. */
async function serveImage(
  context: DownloadContext,
  processing: ProcessingRequest | undefined,
  facts: StoreFacts,
): Promise<void> {
  let request: LocateRequest = context;
  if (processing !== undefined)
    request = { ...context, processing, object: processing.original, url: { ...context.url, path: processing.path } };
  else if (context.processing !== undefined) request = { ...context, processing };
  const located = await locate(request, facts);
  try {
    if (located.kind === "absent" && located.fallback !== undefined)
      return await serveFallback(context, located, located.fallback);
    const shown = processing === undefined ? located : await transform(context, processing, located);
    await answer(context, shown);
  } finally {
    release(located);
  }
}

/** Serves the fallback image of a rule; throws the absence if there is none. */
async function serveFallback(
  context: DownloadContext,
  { error: missing }: LocatedAbsent,
  { key, status }: NonNullable<LocatedAbsent["fallback"]>,
): Promise<void> {
  const { site, url, exchange } = context;
  const { path, query } = urlOfKey(key, site.source?.keysHaveQueries === true);
  const object = { key, request: { path, query, instruction: undefined }, instruction: undefined };
  const wanted = { url: { ...url, path, query }, object, processing: undefined, role: "fallback" } as const;
  const located = await locate({ ...context, ...wanted }, NOTHING_KNOWN).catch((cause: unknown) => {
    throw new HuiyuanError(missing.code, missing.message, { cause });
  });
  try {
    const found =
      located.kind === "fetch" ? await wholeOf(located, () => clientSignal(exchange)).catch(() => undefined) : located;
    if (found?.kind !== "stored" && found?.kind !== "whole") throw missing;
    await answerFallback(context, found, { status, missing });
  } finally {
    release(located);
  }
}

function release(located: Located): void {
  if (located.kind === "fetch" && located.answer.kind !== "head") located.answer.release();
}

// Serves one download, top to bottom: admit → locate → transform → answer. A hit in memory takes the same steps without
// waiting. Each step is a function in a file of this folder. Only walk() begins a download again.
import { HuiyuanError } from "../../core/errors.ts";
import { urlOfKey } from "../../mirror/object-keys.ts";
import type { CachedObject } from "../../mirror/stored/memory-cache.ts";
import type { DownloadExchange } from "../request/exchange.ts";
import { negotiatedFor, type ProcessingRequest } from "../request/processing-request.ts";
import type { Sites } from "../request/site.ts";
import { answerObject } from "../response/answer.ts";
import type { AnswerLife } from "../response/cache-control.ts";
import { preflightHeaders } from "../response/cors.ts";
import { admit, siteOf } from "./admit.ts";
import { answer, answerFallback } from "./answer.ts";
import {
  CACHE_STATUS,
  clientOf,
  clientSignal,
  contextOf,
  type DownloadContext,
  type Located,
  type LocatedAbsent,
  type LocateRequest,
  viaHeadersOf,
} from "./download-context.ts";
import { freshLife } from "./freshness.ts";
import { locate, NOTHING_KNOWN, type StoreFacts } from "./locate.ts";
import { transform } from "./transform.ts";
import { wholeOf } from "./whole-original.ts";

type Admitted = { readonly context: DownloadContext } | { readonly error: unknown };

/** The admissions of requests that the fast path could not answer, so that none is made twice. */
const admissions = new WeakMap<DownloadExchange, Admitted>();

function admitOnce(exchange: DownloadExchange, sites: Sites): DownloadContext {
  const admitted = admissions.get(exchange);
  if (admitted === undefined) return admit(exchange, sites);
  if ("error" in admitted) throw admitted.error;
  return admitted.context;
}

/** Undefined: answered in this turn of the event loop. Throws or rejects with an error that has no answer yet. */
export function serveDownload(exchange: DownloadExchange, sites: Sites): void | Promise<void> {
  if (exchange.request.method === "OPTIONS") return answerPreflight(exchange, sites);
  const context = admitOnce(exchange, sites);
  return answerFromMemory(context) ? undefined : walk(context);
}

/**
 * Answers a hit in memory in this turn of the event loop. False: nothing was written, and serveDownload() must answer,
 * perhaps with an error. Never throws.
 */
export function serveFromMemory(exchange: DownloadExchange, sites: Sites): boolean {
  try {
    const context = admit(exchange, sites);
    if (answerFromMemory(context)) return true;
    admissions.set(exchange, { context });
  } catch (error) {
    // A begun answer cannot become another one.
    if (exchange.response.headersSent) {
      exchange.response.destroy();
      return true;
    }
    admissions.set(exchange, { error });
  }
  return false;
}

function answerPreflight(exchange: DownloadExchange, sites: Sites): void {
  const { request, response, requestId } = exchange;
  const { site } = siteOf(exchange, sites);
  response.writeHead(204, [...preflightHeaders(site.cors, request.headers), "X-Request-Id", requestId]);
  response.end();
}

/** False: nothing was written. Memory has no fresh image for the download, or its token must be spent first. */
function answerFromMemory(context: DownloadContext): boolean {
  if (context.grant.spend !== undefined) return false;
  const hit = findInMemory(context);
  if (hit === undefined) return false;
  const { exchange } = context;
  const { info, body } = hit.object;
  const headers = contextOf(context, { state: "stored", cacheStatus: CACHE_STATUS.memory, life: hit.life });
  // Synchronous, since no token is spent.
  void answerObject(exchange, info, { kind: "memory", body }, headers);
  exchange.outcome = FROM_MEMORY;
  return true;
}

const FROM_MEMORY = { kind: "hit", tier: "memory" } as const;

interface MemoryHit {
  readonly object: CachedObject;
  /** Undefined: the image never becomes stale. */
  readonly life: AnswerLife | undefined;
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

/** Rounds of one download: its object may be replaced or damaged while it is read. */
const MAX_ROUNDS = 3;

/** Begins again from locate() if the object was replaced or damaged meanwhile, and nothing of it was sent. */
async function walk(context: DownloadContext): Promise<void> {
  let facts = NOTHING_KNOWN;
  for (let round = 1; ; round += 1) {
    try {
      return await serveRound(context, facts);
    } catch (error) {
      if (!(error instanceof HuiyuanError) || round === MAX_ROUNDS || context.exchange.response.headersSent)
        throw error;
      const { code } = error;
      // The next look-up finds the object that is there now, or none.
      const isGone = code === "original_replaced" || code === "store_corrupt";
      const isLast = code === "original_replaced" && round === MAX_ROUNDS - 1;
      const isUnreadable = isLast || (code === "store_failed" && !facts.isUnreadable);
      if (!isGone && !isUnreadable) throw error;
      facts = { ...facts, ...(isUnreadable && { failure: error, isUnreadable }), mayUseNotes: false };
    }
  }
}

async function serveRound(context: DownloadContext, facts: StoreFacts): Promise<void> {
  if (!context.isNameFirst || context.processing === undefined) return serveImage(context, context.processing, facts);
  const { stored } = context.site;
  const { key } = context.object;
  const entry = stored.peekNote(key) === "absent" ? undefined : await stored.lookup(key);
  if (entry?.state === "object") {
    try {
      return await serveImage(context, undefined, facts);
    } catch (error) {
      // The object was removed since its look-up, so the name means the alias again.
      if (!isAbsent(error) || context.exchange.response.headersSent) throw error;
    }
  }
  // If the store did not answer, it may have an object with exactly this name.
  const failure = entry?.state === "absent" ? entry.failure : undefined;
  return serveImage(context, context.processing, failure === undefined ? facts : { ...facts, failure });
}

function isAbsent(error: unknown): boolean {
  return error instanceof HuiyuanError && (error.code === "not_found" || error.code === "deleted");
}

/** `processing`: undefined if the object itself is served. */
async function serveImage(
  context: DownloadContext,
  processing: ProcessingRequest | undefined,
  facts: StoreFacts,
): Promise<void> {
  const since = processing === undefined ? 0 : context.site.variants.moment();
  const located = await locate(requestOf(context, processing), facts);
  try {
    if (located.kind === "absent" && located.fallback !== undefined)
      return await serveFallback(context, located, located.fallback);
    const shown = processing === undefined ? located : await transform(context, processing, { located, since });
    await answer(context, shown);
  } finally {
    release(located);
  }
}

function requestOf(context: DownloadContext, processing: ProcessingRequest | undefined): LocateRequest {
  const { site, url, object, exchange } = context;
  const { via, cdnLoop } = viaHeadersOf(exchange);
  return {
    site,
    url: processing === undefined ? url : { ...url, path: processing.path },
    object: processing === undefined ? object : processing.original,
    headers: exchange.request.headers,
    via,
    cdnLoop,
    cancellation: () => clientOf(exchange),
    processing,
    role: "image",
  };
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
  const request = { ...requestOf(context, undefined), url: { ...url, path, query }, object, role: "fallback" } as const;
  const located = await locate(request, NOTHING_KNOWN).catch((cause: unknown) => {
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

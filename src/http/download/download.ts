// Serves one download, top to bottom: host → Referer and token → key and instruction → memory → bucket → origin.
// A memory hit takes the same path, synchronously. How bytes are fetched, rendered and sent is in the files beside.
import { asHuiyuanError, errorRow, HuiyuanError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import { createFailureLog } from "../../mirror/failure-log.ts";
import { tokenFromQuery } from "../../sign/token.ts";
import { beginExchange, type DownloadExchange, type DownloadRequest } from "../request/exchange.ts";
import { nameObject } from "../request/object-name.ts";
import { type ProcessingRequest, processingOfAlias, processingOfQuery } from "../request/processing-request.ts";
import { authorizerOfOriginal, queryWithoutEscape } from "../request/protection.ts";
import { refererVerdict } from "../request/referer.ts";
import { remember } from "../request/remember.ts";
import type { Sites } from "../request/site.ts";
import { targetOf } from "../request/target.ts";
import { type Admitting, admitNamed } from "../request/token-scope.ts";
import { answerObject } from "../response/answer.ts";
import { preflightHeaders } from "../response/cors.ts";
import { sendError } from "../response/error-answer.ts";
import type { DownloadResponse } from "../response/response.ts";
import { CACHE_STATUS, contextOf, type DownloadContext, FROM_MEMORY, withUnknownStore } from "./download-context.ts";
import { freshLife } from "./freshness.ts";
import { serveLocated, serveUnreadable } from "./located.ts";
import { type MemoryHit, serveProcessed, variantInMemory } from "./processed.ts";
import { isTransientGone } from "./whole-original.ts";

export interface DownloadOptions {
  /** The current snapshot; a reload replaces it. */
  readonly sites: () => Sites;
  readonly nextRequestId: () => string;
  readonly log: Log;
  /** Called once a request, after its answer was decided and its head written. */
  readonly answered: (exchange: DownloadExchange) => void;
  /** Called with each error before its error answer is sent. */
  readonly failed?: (error: HuiyuanError) => void;
}

const queryOf = remember(tokenFromQuery);

/** Fetches for one request of a body that the disk refuses, if other readers are faster each time. */
const MAX_TRANSIENT_FETCHES = 3;
/** Retries if the object was replaced between look-up and first byte. */
const MAX_REPLACED = 3;
/** The catalogue lists the object, but the store cannot read it. */
const UNREADABLE: ReadonlySet<string> = new Set(["store_failed", "original_replaced"]);

const OPEN: Admitting = { grant: { scope: { kind: "none" }, spend: undefined }, isForOriginal: false };

/** Creates the handler of the download port. The fast path and the HTTP server call the same one. */
export function createDownloads(
  options: DownloadOptions,
): (request: DownloadRequest, response: DownloadResponse) => void {
  const { answered } = options;
  // An unavailable store fails many requests with the same error, so equal errors are logged once in a while.
  const failures = createFailureLog(options.log, {}, "requests");
  const fail = (exchange: DownloadExchange, error: unknown) => {
    const known = asHuiyuanError(error);
    options.failed?.(known);
    const { response, requestId } = exchange;
    const isGone = known.code === "client_gone";
    exchange.outcome = { kind: isGone ? "other" : "error", tier: "none" };
    exchange.errorCode = known.code;
    const about = { requestId, err: known };
    if (errorRow(known.code).status === 500) failures.error(known.code, about, "a request failed");
    else if (response.headersSent && !isGone)
      failures.warn(known.code, about, "the connection of an unfinished answer was cut");
    // After the head, cut the connection: a clean end would tell the client that the body is whole.
    if (response.headersSent || response.destroyed) response.destroy();
    else sendError(exchange, known);
  };

  const begin = (exchange: DownloadExchange): void | Promise<void> => {
    try {
      return serveDownload(exchange, options.sites());
    } catch (error) {
      return fail(exchange, error);
    }
  };

  return (request, response) => {
    const exchange = beginExchange(request, response, options.nextRequestId());
    const rest = begin(exchange);
    if (rest === undefined) answered(exchange);
    else void rest.catch((error: unknown) => fail(exchange, error)).then(() => answered(exchange));
  };
}

/** Undefined: answered in this turn of the event loop. Throws or rejects with an error that has no answer yet. */
export function serveDownload(exchange: DownloadExchange, sites: Sites): void | Promise<void> {
  const download = admit(exchange, sites);
  if (download === undefined || answerFromMemory(download)) return undefined;
  return serve(download);
}

/**
 * Answers a hit in memory in this turn of the event loop. False: nothing was written, and serveDownload() must answer,
 * perhaps with an error. Never throws.
 */
export function serveFromMemory(exchange: DownloadExchange, sites: Sites): boolean {
  if (exchange.request.method === "OPTIONS") return false;
  try {
    const download = admit(exchange, sites);
    return download !== undefined && answerFromMemory(download);
  } catch {
    return false;
  }
}

/** Checks the request. Undefined: it was a CORS preflight, which is answered. Throws the 4xx codes; no I/O. */
function admit(exchange: DownloadExchange, sites: Sites): DownloadContext | undefined {
  const { request } = exchange;
  const target = targetOf(request);
  const site = sites.find(target.host);
  if (site === undefined)
    throw new HuiyuanError("domain_unknown", `Cannot serve host "${target.host}": no bucket is bound to it`);
  exchange.site = site;
  if (request.method === "OPTIONS") {
    exchange.response.writeHead(204, [
      ...preflightHeaders(site.cors, request.headers),
      "X-Request-Id",
      exchange.requestId,
    ]);
    exchange.response.end();
    return undefined;
  }
  if (request.method !== "GET" && request.method !== "HEAD") {
    throw new HuiyuanError(
      "method_not_allowed",
      `Cannot serve ${request.method}: only GET, HEAD and OPTIONS are allowed`,
    );
  }
  if (!site.isProjectEnabled) throw new HuiyuanError("project_disabled", "Cannot serve: the project is disabled");
  const { key: path } = target;
  if (path === undefined) throw new HuiyuanError("path_missing", "Cannot serve: the URL names no image");
  const { sign, rest } = queryOf(target.rawQuery);
  const referer = refererVerdict(request.headers.referer, site.referers);
  const query = queryWithoutEscape(site, rest);
  const url = { host: target.host, path, query, method: request.method } as const;
  const object = nameObject(site, url);
  const processing = processingOfQuery(site, url, object) ?? processingOfAlias(site, url);
  exchange.isByAccept = processing?.named.negotiated !== undefined;
  // After the URL was read, so that the refusal has the Vary header of the image.
  if (referer === "refused") throw new HuiyuanError("referer_refused", "Cannot serve: the Referer is not allowed");
  const asksForOriginal = query !== rest;
  const ownAuthorizer =
    site.originalAuthorizer && authorizerOfOriginal(site.originalAuthorizer, { object, processing, asksForOriginal });
  const authorizer = ownAuthorizer ?? (referer === "listed" ? undefined : site.authorizer);
  const alias = processing?.isAlias === true ? processing : undefined;
  const { grant, isForOriginal } = authorizer === undefined ? OPEN : admitNamed(authorizer, sign, { object, alias });
  // A protected bucket never serves an object as it is. A token for the original asks for the variant.
  const isNameFirst = alias !== undefined && !isForOriginal && site.originalAuthorizer === undefined;
  const token = authorizer === undefined ? undefined : { sign };
  return { exchange, sites, site, url, object, token, grant, processing, isNameFirst };
}

/** False: nothing was written. Memory has no fresh image for the download, or its token must be spent first. */
function answerFromMemory(download: DownloadContext): boolean {
  if (download.grant.spend !== undefined) return false;
  const hit = findInMemory(download);
  if (hit === undefined) return false;
  const { exchange } = download;
  const { info, body } = hit.object;
  // Synchronous, since no token is spent.
  void answerObject(
    exchange,
    info,
    { kind: "memory", body },
    contextOf(download, "stored", CACHE_STATUS.memory, hit.life),
  );
  exchange.outcome = FROM_MEMORY;
  return true;
}

/** The image of the download, if memory alone shows that it is the right one and fresh. */
function findInMemory(download: DownloadContext): MemoryHit | undefined {
  const { site, object, processing, isNameFirst } = download;
  const named = processing === undefined || isNameFirst === true ? site.stored.peek(object.key) : undefined;
  if (named !== undefined) {
    const fresh = freshLife(download, named.info);
    return fresh && { object: named, life: fresh.life };
  }
  if (processing === undefined) return undefined;
  if (isNameFirst === true && site.stored.peekInfo(object.key) !== "absent") return undefined;
  return variantInMemory(download, processing);
}

async function serve(download: DownloadContext): Promise<void> {
  const { processing } = download;
  if (processing === undefined) return serveCold(download);
  if (download.isNameFirst !== true) return serveProcessed(download, processing);
  return download.site.stored.peek(download.object.key) === undefined
    ? serveAlias(download, processing)
    : serveCold(download);
}

/** Serves the object with exactly this name if there is one, else the variant. A deleted object does not count. */
function serveAlias(download: DownloadContext, processing: ProcessingRequest): void | Promise<void> {
  const { stored } = download.site;
  const { key } = download.object;
  if (stored.peekInfo(key) === "absent") return serveProcessed(download, processing);
  return stored.lookup(key).then((entry) => {
    if (entry.state === "object") return serveCold(download);
    const failure = entry.state === "absent" ? entry.failure : undefined;
    return failure === undefined
      ? serveProcessed(download, processing)
      : serveAliasUnsurely(download, processing, failure);
  });
}

/** Serves the variant although the store, which did not answer, may have an object with exactly this name. */
async function serveAliasUnsurely(
  download: DownloadContext,
  processing: ProcessingRequest,
  failure: HuiyuanError,
): Promise<void> {
  try {
    await serveProcessed(withUnknownStore(download), processing);
  } catch (error) {
    throw isAbsent(error) ? failure : error;
  }
}

async function serveCold(download: DownloadContext): Promise<void> {
  try {
    await serveNamed(download);
  } catch (error) {
    const { processing, exchange } = download;
    // The object was removed since its look-up, so the name means the alias again.
    if (processing === undefined || !isAbsent(error) || exchange.response.headersSent) throw error;
    await serveProcessed(download, processing);
  }
}

function isAbsent(error: unknown): boolean {
  return error instanceof HuiyuanError && (error.code === "not_found" || error.code === "deleted");
}

async function serveNamed(download: DownloadContext, repeats = MAX_REPLACED): Promise<void> {
  const { stored } = download.site;
  const { key } = download.object;
  try {
    await serveLocated(download, await stored.find(key));
  } catch (error) {
    if (!(error instanceof HuiyuanError) || download.exchange.response.headersSent) throw error;
    // A remote store replaced the object after the look-up; nothing of it was sent yet.
    if (error.code === "original_replaced" && repeats > 0) return serveNamed(download, repeats - 1);
    // The store has quarantined the damaged object; the origin may still have it.
    if (error.code === "store_corrupt") return serveLocated(download, await stored.find(key));
    if (UNREADABLE.has(error.code) || isTransientGone(error)) return serveFromOrigin(download, error);
    throw error;
  }
}

/** Fetches the object from the origin instead. Retries while faster readers use up a body that the disk refused. */
async function serveFromOrigin(
  download: DownloadContext,
  failure: HuiyuanError,
  repeats = MAX_TRANSIENT_FETCHES,
): Promise<void> {
  try {
    await serveUnreadable(download, failure);
  } catch (error) {
    const isOver = repeats === 1 || download.exchange.response.headersSent;
    if (isOver || !isTransientGone(error)) throw error;
    await serveFromOrigin(download, error, repeats - 1);
  }
}

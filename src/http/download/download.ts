// The walk of one download, top to bottom: host → token and Referer → key and instruction → memory → bucket → origin.
// A hit in memory runs through the same lines as every other request, synchronously.
import { asHuiyuanError, errorRow, HuiyuanError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import { createFailureLog } from "../../mirror/failure-log.ts";
import { tokenFromQuery } from "../../sign/token.ts";
import { beginExchange, type DownloadRequest, type Exchange } from "../request/exchange.ts";
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
import { serveProcessed } from "./processed.ts";
import { isTransientGone } from "./whole-original.ts";

export interface DownloadOptions {
  /** The snapshot in force; replaced by a reload. */
  readonly sites: () => Sites;
  readonly nextRequestId: () => string;
  readonly log: Log;
  /** Called once for every request, when its answer has been decided and its head written. */
  readonly answered: (exchange: Exchange) => void;
  /** Called with each failure before it is answered. */
  readonly failed?: (error: HuiyuanError) => void;
}

const queryOf = remember(tokenFromQuery);

/** An image that a full disk does not keep is fetched so often for one request, where others get ahead each time. */
const MAX_TRANSIENT_FETCHES = 3;
/** Times that what was found may have changed before its first byte was read. */
const MAX_REPLACED = 3;
/** The bucket has it, and the store does not give it. */
const UNREAD: ReadonlySet<string> = new Set(["store_failed", "original_replaced"]);

const OPEN: Admitting = { admission: { scope: { kind: "none" }, spend: undefined }, isForOriginal: false };

/** What the download port does with a request, whoever read it. */
export function createDownloads(
  options: DownloadOptions,
): (request: DownloadRequest, response: DownloadResponse) => void {
  const { answered } = options;
  // A store that is away fails every request that it is needed for.
  const failures = createFailureLog(options.log, {}, "requests");
  const fail = (exchange: Exchange, error: unknown) => {
    const known = asHuiyuanError(error);
    options.failed?.(known);
    const { response, requestId } = exchange;
    const isGone = known.code === "client_gone";
    exchange.outcome = { kind: isGone ? "other" : "error", tier: "none" };
    exchange.errorCode = known.code;
    const about = { requestId, err: known };
    if (errorRow(known.code).status === 500) failures.error(known.code, about, "a request failed");
    else if (response.headersSent && !isGone) failures.warn(known.code, about, "an answer was broken off");
    // Once the head is out never a clean end: the client must see that the body is not whole.
    if (response.headersSent || response.destroyed) response.destroy();
    else sendError(exchange, known);
  };

  /** Undefined: answered within this turn. */
  const begin = (exchange: Exchange): void | Promise<void> => {
    try {
      const download = admit(exchange, options.sites());
      return download === undefined ? undefined : serve(download);
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

/** Undefined: answered already (a CORS preflight). Throws the 4xx codes; no I/O. */
function admit(exchange: Exchange, sites: Sites): DownloadContext | undefined {
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
    throw new HuiyuanError("method_not_allowed", `Cannot serve ${request.method}: only GET, HEAD and OPTIONS are`);
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
  exchange.isByAccept = processing?.named.settled !== undefined;
  // The URL is read first, so that the refusal has the Vary of the image.
  if (referer === "refused") throw new HuiyuanError("referer_refused", "Cannot serve: the Referer is not allowed");
  const asksForOriginal = query !== rest;
  const ownAuthorizer =
    site.originalAuthorizer && authorizerOfOriginal(site.originalAuthorizer, { object, processing, asksForOriginal });
  const authorizer = ownAuthorizer ?? (referer === "listed" ? undefined : site.authorizer);
  const alias = processing?.isAlias === true ? processing : undefined;
  const { admission, isForOriginal } =
    authorizer === undefined ? OPEN : admitNamed(authorizer, sign, { object, alias });
  // Of a protected bucket an object is never shown as it is, and a token for the original names the alias's meaning.
  const isNameFirst = alias !== undefined && !isForOriginal && site.originalAuthorizer === undefined;
  const token = authorizer === undefined ? undefined : { sign };
  return { exchange, sites, site, url, object, token, admission, processing, isNameFirst };
}

/** Undefined when the answer went out synchronously, from memory. */
function serve(download: DownloadContext): void | Promise<void> {
  const { key } = download.object;
  const { processing } = download;
  if (processing !== undefined && !download.isNameFirst) return serveProcessed(download, processing);
  const object = download.site.stored.peek(key);
  if (processing !== undefined && object === undefined) return serveAlias(download, processing);
  const fresh = object === undefined ? undefined : freshLife(download, object.info);
  if (object === undefined || fresh === undefined) return serveCold(download);
  const { exchange } = download;
  exchange.outcome = FROM_MEMORY;
  return answerObject(
    exchange,
    object.info,
    { kind: "memory", body: object.body },
    contextOf(download, "stored", CACHE_STATUS.memory, fresh.life),
  );
}

/** An object that is really named like an original with its alias comes first; one that was deleted is none. */
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

/** The store, which could not be asked, may have an object that is really named so. */
async function serveAliasUnsurely(
  download: DownloadContext,
  processing: ProcessingRequest,
  failure: HuiyuanError,
): Promise<void> {
  try {
    await serveProcessed(withUnknownStore(download), processing);
  } catch (error) {
    throw isNone(error) ? failure : error;
  }
}

async function serveCold(download: DownloadContext): Promise<void> {
  try {
    await serveNamed(download);
  } catch (error) {
    const { processing, exchange } = download;
    // It has gone since it was looked up, and its name means the alias again.
    if (processing === undefined || !isNone(error) || exchange.response.headersSent) throw error;
    await serveProcessed(download, processing);
  }
}

function isNone(error: unknown): boolean {
  return error instanceof HuiyuanError && (error.code === "not_found" || error.code === "deleted");
}

async function serveNamed(download: DownloadContext, repeats = MAX_REPLACED): Promise<void> {
  const { stored } = download.site;
  const { key } = download.object;
  try {
    await serveLocated(download, await stored.find(key));
  } catch (error) {
    if (!(error instanceof HuiyuanError) || download.exchange.response.headersSent) throw error;
    // A far store lets go of an object that was found and of which nothing was read.
    if (error.code === "original_replaced" && repeats > 0) return serveNamed(download, repeats - 1);
    // The store has set the damaged object aside; the origin may still have it.
    if (error.code === "store_corrupt") return serveLocated(download, await stored.find(key));
    if (UNREAD.has(error.code) || isTransientGone(error)) return serveAnew(download, error);
    throw error;
  }
}

/** By the origin, from the first byte on: what is on its way to others cannot be kept, as little as it was the last time. */
async function serveAnew(
  download: DownloadContext,
  failure: HuiyuanError,
  repeats = MAX_TRANSIENT_FETCHES,
): Promise<void> {
  try {
    await serveUnreadable(download, failure);
  } catch (error) {
    const isOver = repeats === 1 || download.exchange.response.headersSent;
    if (isOver || !isTransientGone(error)) throw error;
    await serveAnew(download, error, repeats - 1);
  }
}

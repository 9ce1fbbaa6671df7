// Serves one download, top to bottom: begin → admit → hit → locate → transform → answer. A hit in memory, or on the
// disk if it was read a moment ago, is answered at once; else locate() goes on from what was found. The further steps
// are functions in the files of this folder. Only finishDownload() begins a download again.
import { errorKind, HuiyuanError } from "../../../core/errors.ts";
import { urlOfKey } from "../../mirror/object-keys.ts";
import { tokenFromQuery } from "../../sign/token.ts";
import { admitNamed, authorizerOfOriginal, refererVerdict, withoutOriginalRequest } from "../request/authorizer.ts";
import { clientSignal, type DownloadExchange } from "../request/exchange.ts";
import { memoize } from "../request/memoize.ts";
import { nameObject, negotiatedFor, type ProcessingRequest, processingOf } from "../request/object-name.ts";
import type { DownloadGrant, Site, Sites } from "../request/site.ts";
import { type RequestTarget, targetOf } from "../request/target.ts";
import { preflightHeaders } from "../response/cors.ts";
import { answer, answerFallback } from "./download-answer.ts";
import type {
  DownloadContext,
  Learnt,
  Located,
  LocatedAbsent,
  LocatedStored,
  LocatedVariant,
  LocateRequest,
} from "./download-context.ts";
import { checkFreshness } from "./freshness.ts";
import { atHand, locate, NOTHING } from "./locate.ts";
import { transform } from "./transform.ts";
import { wholeOf } from "./whole-original.ts";

const queryOf = memoize(tokenFromQuery);
const OPEN: DownloadGrant = { scope: { kind: "none" }, spend: undefined };

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
  const hit = findHit(context);
  if (hit === undefined) return context;
  // Synchronous, since its bytes are at hand and no token is spent.
  void answer(context, hit);
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
  const referer = site.referers && refererVerdict(headers.referer, site.referers);
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
    learnt: NOTHING,
    // A protected bucket never serves an object as it is. A token for the original asks for the variant.
    isNameFirst: alias !== undefined && admitted?.isForOriginal !== true && originalAuthorizer === undefined,
  };
}

/**
 * The image, if it may be served as it is and its bytes are in memory, or on the disk where they were read a moment
 * ago. Undefined: the context has learnt what was found.
 */
function findHit(context: DownloadContext): LocatedStored | LocatedVariant | undefined {
  const { site, object, processing, isNameFirst, grant } = context;
  if (grant.spend !== undefined) return undefined;
  if (processing === undefined || isNameFirst) {
    const own = hitOf(context, undefined);
    if (own !== undefined) return withBytes(site, own);
    if (processing === undefined || site.stored.cachedLookup(object.key) !== "absent") return undefined;
  }
  const original = hitOf(context, processing);
  return original && variantInMemory(context, processing, original);
}

/** The image of requestOf(), if it is at hand and may be served as it is. The context learns what was at hand. */
function hitOf(context: DownloadContext, processing: ProcessingRequest | undefined): LocatedStored | undefined {
  const request = requestOf(context, processing);
  const located = atHand(request, NOTHING);
  const freshness = located && checkFreshness(request, located.object);
  context.learnt = { about: "look", key: request.object.key, located, freshness };
  if (freshness?.kind !== "serve") return undefined;
  return freshness.life === undefined ? located : { ...located!, life: freshness.life };
}

function withBytes({ stored }: Site, located: LocatedStored): LocatedStored | undefined {
  if (located.found !== undefined) return located;
  const found = stored.openRecent(located.object);
  return found && { ...located, found };
}

function variantInMemory(
  { site, exchange, grant }: DownloadContext,
  processing: ProcessingRequest,
  { object: { info }, certainty, life }: LocatedStored,
): LocatedVariant | undefined {
  const named = negotiatedFor(processing.named, exchange.request.headers.accept);
  if (named.watermarks.length > 0) return undefined;
  const object = site.variants.peek(info, named);
  const variant = object && ({ kind: "found", found: { state: "memory", object } } as const);
  return (
    variant && { kind: "variant", variant, isStorable: true, status: undefined, isMiss: false, certainty, life, grant }
  );
}

/** The request for the original of a variant. `processing` is undefined: for the object of exactly the URL's name. */
function requestOf(context: DownloadContext, processing: ProcessingRequest | undefined): LocateRequest {
  if (context.processing === undefined) return context;
  const { exchange, site, headers, role } = context;
  const url = processing === undefined ? context.url : { ...context.url, path: processing.path };
  const object = processing === undefined ? context.object : processing.original;
  return { exchange, site, url, object, headers, processing, role };
}

/** Rounds of one download: its object may be replaced or damaged while it is read. */
const MAX_ROUNDS = 3;

/** Begins again from locate() if the object was replaced or damaged meanwhile, and nothing of it was sent. */
export async function finishDownload(context: DownloadContext): Promise<void> {
  for (let round = 1; ; round += 1) {
    try {
      if (context.isNameFirst) await serveNamed(context);
      else await serveImage(context, context.processing, context.learnt);
      return;
    } catch (error) {
      const isOver = round === MAX_ROUNDS || context.exchange.response.headersSent;
      const learnt = isOver ? undefined : learntFrom(error, context.learnt, round === MAX_ROUNDS - 1);
      if (learnt === undefined) throw error;
      context.learnt = learnt;
    }
  }
}

/** The start of the next round. Undefined: the error is the answer. */
function learntFrom(error: unknown, before: Learnt, isLast: boolean): Learnt | undefined {
  if (!(error instanceof HuiyuanError)) return undefined;
  const isUnreadable = before.about === "unreadable";
  if (error.code === "store_failed") return isUnreadable ? undefined : { about: "unreadable", failure: error };
  if (error.code === "original_replaced" && isLast) return { about: "unreadable", failure: error };
  // The next look-up finds the object that is there now, or none.
  if (errorKind(error) !== "replaced") return undefined;
  return isUnreadable ? before : { about: "change" };
}

/** Serves the object of exactly the alias's name if there is one, else the variant. */
async function serveNamed(context: DownloadContext): Promise<void> {
  const { learnt, processing } = context;
  const { stored } = context.site;
  const { key } = context.object;
  const isSeen = learnt.about === "look" && learnt.key === key && learnt.located !== undefined;
  const entry = isSeen || stored.cachedLookup(key) === "absent" ? undefined : await stored.lookup(key);
  if (isSeen || entry?.state === "object") {
    try {
      return await serveImage(context, undefined, learnt);
    } catch (error) {
      // The object was removed since its look-up, so the name means the alias again.
      if (errorKind(error) !== "absent" || context.exchange.response.headersSent) throw error;
    }
  }
  // If the store did not answer, it may have an object with exactly this name.
  const failure = entry?.state === "absent" ? entry.failure : undefined;
  const about = learnt.about === "unreadable" ? "unreadable" : "outage";
  return serveImage(context, processing, failure === undefined ? learnt : { about, failure });
}

/** Locates, transforms and answers. `processing`: undefined if the object itself is served. */
async function serveImage(
  context: DownloadContext,
  processing: ProcessingRequest | undefined,
  learnt: Learnt,
): Promise<void> {
  const located = await locate(requestOf(context, processing), learnt);
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
  const wanted = { ...url, ...urlOfKey(key, site.source?.keysHaveQueries === true) };
  const request = { path: wanted.path, query: wanted.query, instruction: undefined };
  const object = { key, request, instruction: undefined, route: site.source?.route(wanted) };
  const fallback = { url: wanted, object, processing: undefined, role: "fallback" } as const;
  const located = await locate({ ...context, ...fallback }, NOTHING).catch((cause: unknown) => {
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

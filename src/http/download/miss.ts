// Serves a download whose object the bucket lacks. The rule of the URL decides: fetch from the origin, redirect the
// client, or answer 404, perhaps with a fallback image. mirror/ does the fetch itself.
import { HuiyuanError } from "../../core/errors.ts";
import { type Key, toKey } from "../../core/object.ts";
import { isLate, type Join, type MissAnswer, type MissRequest } from "../../mirror/fill/join.ts";
import { urlOfKey } from "../../mirror/object-keys.ts";
import {
  type ObjectRequest,
  type OriginRequest,
  originRequestFor,
  originRequestForKey,
  publicTarget,
} from "../../mirror/rules.ts";
import type { ViaHeaders } from "../../origin/exchange/via-headers.ts";
import type { Exchange } from "../request/exchange.ts";
import { splitStyle } from "../request/instruction.ts";
import { missRouteOf } from "../request/object-name.ts";
import type { Route } from "../request/site.ts";
import { type AnswerContext, answerObject } from "../response/answer.ts";
import { answerFilling, answerOriginHead, isForOneVersion } from "../response/answer-filling.ts";
import type { AnswerState } from "../response/cache-control.ts";
import { flatHeaders, type HeaderList } from "../response/response.ts";
import {
  answerLocated,
  CACHE_STATUS,
  clientOf,
  clientSignal,
  contextOf,
  type DownloadContext,
  withLookupOf,
} from "./download-context.ts";
import { isForClients, locationOf, sendRedirect } from "./redirect.ts";

/** Serves a key that the bucket lacks at this epoch. Throws not_found if no rule fetches it. */
export async function serveMissing(download: DownloadContext, epoch: number): Promise<void> {
  const { site, url, object } = download;
  const { key, request } = object;
  const route = missRouteOf(site, url);
  if (route === undefined || route.action === "none") {
    const styled = site.separators.length === 0 ? undefined : splitStyle(url.path, site.separators);
    const isUnknown = styled !== undefined && !site.aliases.has(styled.style);
    if (isUnknown && (await exists(download, styled.base))) {
      throw new HuiyuanError("style_unknown", `Cannot serve "${key}": "${styled.style}" is not a style`);
    }
    throw new HuiyuanError("not_found", `Cannot serve "${key}": the bucket does not have it and no rule fetches it`);
  }
  const originRequest = originRequestFor(route, request, download.exchange.request.headers);
  if (route.action !== "mirror")
    return redirectToOrigin(download, { route, request, originRequest, epoch, styleSuffix: "" });
  await fetchAndServe(download, { route, originRequest, epoch });
}

export interface Miss {
  readonly route: Route;
  readonly originRequest: OriginRequest;
  readonly epoch: number;
  /** Fetched in the background after the origin has answered: the original of an image that the origin processed. */
  readonly background?: OriginRequest;
}

export async function fetchAndServe(
  download: DownloadContext,
  { route, originRequest, epoch, background }: Miss,
): Promise<void> {
  const request = missRequestOf(download, originRequest, epoch);
  let miss: MissAnswer;
  try {
    miss = await route.mirror.fetch(request);
  } catch (error) {
    if (!(error instanceof HuiyuanError)) throw error;
    if (error.code === "origin_moved") return passRedirect(download, error);
    if (error.code === "not_found") return serveFallback(download, { route, originRequest }, error);
    throw error;
  }
  if (background !== undefined && request.method === "GET") {
    // No log: a store that fails to read now would not store the original either.
    void fetchInBackground(download, route, background).catch(() => undefined);
  }
  await serveMiss(download, miss, { route });
}

/** Fetches and stores an object, unless the bucket has it by now. */
async function fetchInBackground(
  download: DownloadContext,
  { mirror }: Route,
  originRequest: OriginRequest,
): Promise<void> {
  const entry = await download.site.stored.bucket.lookup(originRequest.key);
  if (entry.state !== "absent" || entry.isForeign === true) return;
  mirror.begin(missRequestOf(download, originRequest, entry.epoch));
}

/** Actions `async` and `redirect`: redirects the client to the origin; `async` also fetches in the background. */
export function redirectToOrigin(
  download: DownloadContext,
  parts: Miss & { readonly request: ObjectRequest; readonly styleSuffix: string },
): void {
  const { route, request, originRequest, epoch, styleSuffix } = parts;
  const { base, status } = route.redirect;
  if (base === undefined) throw new HuiyuanError("internal", "Cannot redirect: the rule has no base URL for clients");
  // A background fetch that is not stored would serve nobody.
  const isStored = originRequest.isStored && download.isForeign !== true;
  if (route.action === "async" && download.exchange.request.method === "GET" && isStored) {
    route.mirror.begin(missRequestOf(download, originRequest, epoch));
  }
  const target = publicTarget(route, request);
  const path = styleSuffix === "" ? target.path : toKey(target.path + styleSuffix);
  sendRedirect(download.exchange, status, locationOf(base, { ...target, path }));
}

export function passRedirect({ exchange, object }: DownloadContext, error: HuiyuanError): void {
  const { location = "", originStatus = 302 } = error;
  if (!isForClients(location)) {
    throw new HuiyuanError("origin_redirect", `Cannot pass on the redirect of "${object.key}": its host is internal`, {
      cause: error,
    });
  }
  sendRedirect(exchange, originStatus, location);
}

/** Serves the rule's fallback image, from the bucket or by a fetch. Throws `missing` if there is none. */
export async function serveFallback(
  download: DownloadContext,
  { route: { fallback }, originRequest: requested }: Pick<Miss, "route" | "originRequest">,
  missing: HuiyuanError,
): Promise<void> {
  const { site, url, exchange, isUnknown, isForeign } = download;
  // The store did not answer, so it may have the image that the origin lacks.
  const mayBeThere = isUnknown === true && isForeign !== true;
  if (fallback === undefined || fallback.key === requested.key || mayBeThere) throw missing;
  const { key, status } = fallback;
  exchange.outcome = { kind: "other", tier: "none" };
  exchange.errorCode = missing.code;
  const plain = contextOf(download, "filling", CACHE_STATUS.fallback);
  const context: AnswerContext = {
    ...plain,
    headers: [fallbackHeaders(flatHeaders(plain.headers), status)],
    ...(status === 404 && { status, spend: undefined }),
  };
  const found = await site.stored.find(key);
  if (found.state === "tombstone") throw missing;
  if (found.state !== "absent") return answerLocated(exchange, found, context);
  const { path, query } = urlOfKey(key, site.source?.keysHaveQueries === true);
  const route = missRouteOf(site, url, path);
  if (route?.action !== "mirror") throw missing;
  const originRequest = originRequestForKey(route, { path, query, instruction: undefined }, exchange.request.headers);
  if (originRequest.key !== key) throw missing;
  const fallbackDownload = withLookupOf({ ...download, isForeign: false }, found);
  const miss = await fetchWhole(fallbackDownload, { route, originRequest, epoch: found.epoch }, missing);
  try {
    const { info, spool } = miss;
    await answerObject(
      exchange,
      info,
      { kind: "read", read: (offset) => spool.peek(offset) ?? spool.read(offset, clientSignal(exchange)) },
      context,
    );
  } finally {
    miss.release();
  }
}

/** Adds X-ErrNo, because a status of 200 does not show that this is the fallback image. */
function fallbackHeaders(headers: HeaderList, status: 200 | 404): HeaderList {
  const at = headers.indexOf("Cache-Control");
  const list = status === 404 ? headers.toSpliced(at + 1, 1, "no-store") : headers;
  return [...list, "X-ErrNo", "-6101"];
}

async function fetchWhole(download: DownloadContext, { route, originRequest, epoch }: Miss, missing: HuiyuanError) {
  const answer = await route.mirror
    .fetch({ ...missRequestOf(download, originRequest, epoch), method: "GET", waitsForEnd: true })
    .catch((cause: unknown) => {
      throw new HuiyuanError(missing.code, missing.message, { cause });
    });
  if (answer.kind === "finished") return { info: answer.info, spool: answer.head.spool, release: answer.release };
  if (answer.kind === "asked") throw missing;
  const end = await answer.reader.end().catch(() => undefined); // The client disconnected, or its time is up.
  if (end?.kind === "whole") return { info: end.info, spool: end.head.spool, release: answer.release };
  answer.release();
  throw missing;
}

/** Answers with a fetched object. `status`: the Cache-Status, if it replaces a stored object. */
export async function serveMiss(
  download: DownloadContext,
  miss: MissAnswer,
  { route, status }: { readonly route: Route; readonly status?: string | undefined },
): Promise<void> {
  const { exchange } = download;
  exchange.outcome = { kind: "miss", tier: "origin" };
  const life = route.mirror.revalidation.lifeOfAnswer(miss.kind === "asked" ? miss : miss.head);
  if (miss.kind === "asked")
    return answerOriginHead(exchange, miss.answer, contextOf(download, "filling", missStatus(miss.how, false), life));
  const { how, isStorable } = miss;
  const contextFor = (state: AnswerState, isStored: boolean) => {
    const shown = isStorable || state === "suspect" ? state : "not-storable";
    return contextOf(download, shown, status ?? missStatus(how, isStored && download.isUnknown !== true), life);
  };
  try {
    if (miss.kind === "filling") {
      await answerFilling(exchange, miss, (state, isProven) => contextFor(state, isProven && miss.isStored()));
      return;
    }
    if (isLate(how)) exchange.outcome = { kind: "hit", tier: "spool" };
    const { info, head } = miss;
    const whole = head.spool.end?.kind === "whole" ? head.spool.end.body.content : undefined;
    const read = (offset: number) => head.spool.peek(offset) ?? head.spool.read(offset, clientSignal(exchange));
    const bytes =
      whole?.kind === "buffer" ? ({ kind: "memory", body: whole.buffer } as const) : ({ kind: "read", read } as const);
    await answerObject(exchange, info, bytes, contextFor("stored", miss.isStored()));
  } finally {
    miss.release();
  }
}

export function missStatus(how: Join, isProven: boolean): string {
  if (how === "collapsed") return CACHE_STATUS.collapsed;
  if (how === "gone" || how === "failed") return CACHE_STATUS.revalidated[how];
  if (how === "after" && isProven) return CACHE_STATUS.spool;
  return isProven ? CACHE_STATUS.stored : CACHE_STATUS.missed;
}

/** The mirror's request for this download. */
export function missRequestOf(
  { exchange, url, isForeign }: Pick<DownloadContext, "exchange" | "url" | "isForeign">,
  originRequest: OriginRequest,
  epoch: number,
): MissRequest {
  const { via, cdnLoop } = viaHeadersOf(exchange);
  // Each field by name: a spread plus further fields costs V8 microseconds and kilobytes on every miss.
  return {
    key: originRequest.key,
    isStored: originRequest.isStored && isForeign !== true,
    path: originRequest.path,
    query: originRequest.query,
    headers: originRequest.headers,
    followsRedirects: originRequest.followsRedirects,
    epoch,
    method: url.method,
    needsWholeBody: isForOneVersion(exchange),
    via,
    cdnLoop,
    signal: clientOf(exchange),
  };
}

/** The loop-protection headers that the origin receives (RFC 9110 §7.6.3, RFC 8586). */
export function viaHeadersOf({ request }: Pick<Exchange, "request">): ViaHeaders {
  return { via: request.headers.via, cdnLoop: request.headers["cdn-loop"] as string | undefined };
}

async function exists({ site }: DownloadContext, key: Key): Promise<boolean> {
  return (await site.stored.bucket.lookup(key)).state === "object";
}

// What becomes of a download that the bucket cannot answer: the rule of the URL decides whether the origin is asked, the
// client sent there, or a fallback shown.
import { HuiyuanError } from "../../core/errors.ts";
import { type Key, toKey } from "../../core/object.ts";
import { isLate, type Join, type MissAnswer } from "../../mirror/fill/join.ts";
import type { MissRequest } from "../../mirror/mirror.ts";
import { urlOfKey } from "../../mirror/object-keys.ts";
import { askedForKey, askedUnder, type ObjectRequest, type OriginRequest, publicTarget } from "../../mirror/rules.ts";
import type { ViaHeaders } from "../../origin/exchange/via-headers.ts";
import type { Exchange } from "../request/exchange.ts";
import { splitStyle } from "../request/instruction.ts";
import { missRouteOf } from "../request/object-name.ts";
import type { Route } from "../request/site.ts";
import { type AnswerContext, answerObject } from "../response/answer.ts";
import { answerAsked, answerFilling, isForOneVersion } from "../response/answer-filling.ts";
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

/** Answers a URL whose key the bucket lacks, at this epoch. Throws not_found where no origin is asked for it. */
export async function serveMissing(download: DownloadContext, epoch: number): Promise<void> {
  const { site, url, object } = download;
  const { key, request } = object;
  const route = missRouteOf(site, url);
  if (route === undefined || route.action === "none") {
    const styled = site.separators.length === 0 ? undefined : splitStyle(url.path, site.separators);
    const isUnknown = styled !== undefined && !site.aliases.has(styled.style);
    if (isUnknown && (await exists(download, styled.base))) {
      throw new HuiyuanError("style_unknown", `Cannot serve "${key}": "${styled.style}" is no style`);
    }
    throw new HuiyuanError(
      "not_found",
      `Cannot serve "${key}": the bucket has none and the origin is not asked for it`,
    );
  }
  const asked = askedUnder(route, request, download.exchange.request.headers);
  if (route.action !== "mirror") return redirectToOrigin(download, { route, request, asked, epoch, styleSuffix: "" });
  await fetchAndServe(download, { route, asked, epoch });
}

export interface Miss {
  readonly route: Route;
  readonly asked: OriginRequest;
  readonly epoch: number;
  /** Fetched and stored once the origin has answered: the original of a processed image. */
  readonly behind?: OriginRequest;
}

export async function fetchAndServe(download: DownloadContext, { route, asked, epoch, behind }: Miss): Promise<void> {
  const request = missRequestOf(download, asked, epoch);
  let miss: MissAnswer;
  try {
    miss = await route.mirror.fetch(request);
  } catch (error) {
    if (!(error instanceof HuiyuanError)) throw error;
    if (error.code === "origin_moved") return passRedirect(download, error);
    if (error.code === "not_found") return serveFallback(download, { route, asked }, error);
    throw error;
  }
  if (behind !== undefined && request.method === "GET") {
    // A store that cannot be read could not take it either.
    void fetchInBackground(download, route, behind).catch(() => undefined);
  }
  await serveMiss(download, miss, { route });
}

/** Fetches and stores what the bucket lacks, unless somebody has brought it since it was asked. */
async function fetchInBackground(download: DownloadContext, { mirror }: Route, asked: OriginRequest): Promise<void> {
  const entry = await download.site.stored.bucket.lookup(asked.key);
  if (entry.state !== "absent" || entry.isForeign === true) return;
  mirror.begin(missRequestOf(download, asked, entry.epoch));
}

/** `async` and `redirect`: the client goes to the origin itself; `async` fetches and stores behind its back. */
export function redirectToOrigin(
  download: DownloadContext,
  parts: Miss & { readonly request: ObjectRequest; readonly styleSuffix: string },
): void {
  const { route, request, asked, epoch, styleSuffix } = parts;
  const { base, status } = route.redirect;
  if (base === undefined) throw new HuiyuanError("internal", "Cannot redirect: the rule names no place for clients");
  // Nobody would have what is not stored.
  const isStored = asked.isStored && download.isForeign !== true;
  if (route.action === "async" && download.exchange.request.method === "GET" && isStored) {
    route.mirror.begin(missRequestOf(download, asked, epoch));
  }
  const target = publicTarget(route, request);
  const path = styleSuffix === "" ? target.path : toKey(target.path + styleSuffix);
  sendRedirect(download.exchange, status, locationOf(base, { ...target, path }));
}

export function passRedirect({ exchange, object }: DownloadContext, error: HuiyuanError): void {
  const { location = "", originStatus = 302 } = error;
  if (!isForClients(location)) {
    throw new HuiyuanError(
      "origin_redirect",
      `Cannot pass on the redirect of "${object.key}": its host is not for clients`,
      {
        cause: error,
      },
    );
  }
  sendRedirect(exchange, originStatus, location);
}

/** Shows the rule's fallback, from the bucket or by a fill of its own; `missing` is thrown where there is none. */
export async function serveFallback(
  download: DownloadContext,
  { route: { fallback }, asked: wanted }: Pick<Miss, "route" | "asked">,
  missing: HuiyuanError,
): Promise<void> {
  const { site, url, exchange, isUnknown, isForeign } = download;
  // The store, which could not be asked, may have what the origin lacks.
  const mayBeThere = isUnknown === true && isForeign !== true;
  if (fallback === undefined || fallback.key === wanted.key || mayBeThere) throw missing;
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
  const asked = askedForKey(route, { path, query, instruction: undefined }, exchange.request.headers);
  if (asked.key !== key) throw missing;
  const asker = withLookupOf({ ...download, isForeign: false }, found);
  const miss = await fetchWhole(asker, { route, asked, epoch: found.epoch }, missing);
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

/** The error's number goes along: the status alone may not tell that this is not the image. */
function fallbackHeaders(headers: HeaderList, status: 200 | 404): HeaderList {
  const at = headers.indexOf("Cache-Control");
  const list = status === 404 ? headers.toSpliced(at + 1, 1, "no-store") : headers;
  return [...list, "X-ErrNo", "-6101"];
}

async function fetchWhole(download: DownloadContext, { route, asked, epoch }: Miss, missing: HuiyuanError) {
  const answer = await route.mirror
    .fetch({ ...missRequestOf(download, asked, epoch), method: "GET", isPatient: true })
    .catch((cause: unknown) => {
      throw new HuiyuanError(missing.code, missing.message, { cause });
    });
  if (answer.kind === "finished") return { info: answer.info, spool: answer.head.spool, release: answer.release };
  if (answer.kind === "asked") throw missing;
  const end = await answer.reader.end().catch(() => undefined); // The client has left, or waited too long.
  if (end?.kind === "whole") return { info: end.info, spool: end.head.spool, release: answer.release };
  answer.release();
  throw missing;
}

/** `status`: the Cache-Status of what comes in place of a stored object. */
export async function serveMiss(
  download: DownloadContext,
  miss: MissAnswer,
  { route, status }: { readonly route: Route; readonly status?: string | undefined },
): Promise<void> {
  const { exchange } = download;
  exchange.outcome = { kind: "miss", tier: "origin" };
  const life = route.mirror.revalidation.lifeOfAnswer(miss.kind === "asked" ? miss : miss.head);
  if (miss.kind === "asked")
    return answerAsked(exchange, miss.answer, contextOf(download, "filling", missStatus(miss.how, false), life));
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
  if (how === "gone" || how === "failed") return CACHE_STATUS.kept[how];
  if (how === "after" && isProven) return CACHE_STATUS.spool;
  return isProven ? CACHE_STATUS.stored : CACHE_STATUS.missed;
}

/** A miss of this request. */
export function missRequestOf(
  { exchange, url, isForeign }: Pick<DownloadContext, "exchange" | "url" | "isForeign">,
  asked: OriginRequest,
  epoch: number,
): MissRequest {
  const { via, cdnLoop } = viaHeadersOf(exchange);
  // Name by name, as everywhere on the way of a miss: V8 takes microseconds and kilobytes to add to a spread object.
  return {
    key: asked.key,
    isStored: asked.isStored && isForeign !== true,
    path: asked.path,
    query: asked.query,
    headers: asked.headers,
    followsRedirects: asked.followsRedirects,
    epoch,
    method: url.method,
    wantsWhole: isForOneVersion(exchange),
    via,
    cdnLoop,
    signal: clientOf(exchange),
  };
}

/** What of the request is carried on to the origin. */
export function viaHeadersOf({ request }: Pick<Exchange, "request">): ViaHeaders {
  return { via: request.headers.via, cdnLoop: request.headers["cdn-loop"] as string | undefined };
}

async function exists({ site }: DownloadContext, key: Key): Promise<boolean> {
  return (await site.stored.bucket.lookup(key)).state === "object";
}

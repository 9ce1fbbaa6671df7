// What becomes of a download that the bucket cannot answer: the rule of the URL decides whether the origin is asked, the
// client sent there, or a fallback shown.
import { HuiyuanError } from "../../core/errors.ts";
import { type Key, toKey } from "../../core/object.ts";
import { isLate, type Join, type MissAnswer } from "../../mirror/fill/join.ts";
import type { MissRequest } from "../../mirror/mirror.ts";
import { urlOfKey } from "../../mirror/object-keys.ts";
import { type Asked, askedForKey, askedUnder, type ObjectRequest, publicTarget } from "../../mirror/rules.ts";
import type { LoopMarks } from "../../origin/exchange/via-headers.ts";
import type { Exchange } from "../request/exchange.ts";
import { splitStyle } from "../request/instruction.ts";
import { missRouteOf } from "../request/object-name.ts";
import type { Route } from "../request/site.ts";
import { type AnswerContext, answerObject } from "../response/answer.ts";
import { answerAsked, answerFilling, isForOneVersion } from "../response/answer-filling.ts";
import type { AnswerState } from "../response/cache-control.ts";
import { flatHeaders, type HeaderList } from "../response/response.ts";
import {
  type Admitted,
  answerFound,
  CACHE_STATUS,
  clientOf,
  clientSignal,
  contextOf,
  fetching,
} from "./download-context.ts";
import { isForClients, locationOf, sendRedirect } from "./redirect.ts";

/** Answers a URL whose key the bucket lacks, at this epoch. Throws not_found where no origin is asked for it. */
export async function serveMissing(admitted: Admitted, epoch: number): Promise<void> {
  const { site, url, object } = admitted;
  const { key, request } = object;
  const route = missRouteOf(site, url);
  if (route === undefined || route.action === "none") {
    const styled = site.separators.length === 0 ? undefined : splitStyle(url.path, site.separators);
    const isUnknown = styled !== undefined && !site.aliases.has(styled.style);
    if (isUnknown && (await exists(admitted, styled.base))) {
      throw new HuiyuanError("style_unknown", `Cannot serve "${key}": "${styled.style}" is no style`);
    }
    throw new HuiyuanError(
      "not_found",
      `Cannot serve "${key}": the bucket has none and the origin is not asked for it`,
    );
  }
  const asked = askedUnder(route, request, admitted.exchange.request.headers);
  if (route.action !== "mirror") return serveElsewhere(admitted, { route, request, asked, epoch, styleSuffix: "" });
  await serveFrom(admitted, { route, asked, epoch });
}

export interface Miss {
  readonly route: Route;
  readonly asked: Asked;
  readonly epoch: number;
  /** Fetched and stored once the origin has answered: the original of a processed image. */
  readonly behind?: Asked;
}

export async function serveFrom(admitted: Admitted, { route, asked, epoch, behind }: Miss): Promise<void> {
  const request = missOf(admitted, asked, epoch);
  let miss: MissAnswer;
  try {
    miss = await route.mirror.fetch(request);
  } catch (error) {
    if (!(error instanceof HuiyuanError)) throw error;
    if (error.code === "origin_moved") return passRedirect(admitted, error);
    if (error.code === "not_found") return serveFallback(admitted, { route, asked }, error);
    throw error;
  }
  if (behind !== undefined && request.method === "GET") {
    // A store that cannot be read could not take it either.
    void beginBehind(admitted, route, behind).catch(() => undefined);
  }
  await serveMiss(admitted, miss, { route });
}

/** Fetches and stores what the bucket lacks, unless somebody has brought it since it was asked. */
async function beginBehind(admitted: Admitted, { mirror }: Route, asked: Asked): Promise<void> {
  const entry = await admitted.site.stored.bucket.lookup(asked.key);
  if (entry.state !== "absent" || entry.isTaken === true) return;
  mirror.begin(missOf(admitted, asked, entry.epoch));
}

/** `async` and `redirect`: the client goes to the origin itself; `async` fetches and stores behind its back. */
export function serveElsewhere(
  admitted: Admitted,
  parts: Miss & { readonly request: ObjectRequest; readonly styleSuffix: string },
): void {
  const { route, request, asked, epoch, styleSuffix } = parts;
  const { base, status } = route.redirect;
  if (base === undefined) throw new HuiyuanError("internal", "Cannot redirect: the rule names no place for clients");
  // Nobody would have what is not stored.
  const isStored = asked.isStored && admitted.isTaken !== true;
  if (route.action === "async" && admitted.exchange.request.method === "GET" && isStored) {
    route.mirror.begin(missOf(admitted, asked, epoch));
  }
  const target = publicTarget(route, request);
  const path = styleSuffix === "" ? target.path : toKey(target.path + styleSuffix);
  sendRedirect(admitted.exchange, status, locationOf(base, { ...target, path }));
}

export function passRedirect({ exchange, object }: Admitted, error: HuiyuanError): void {
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
  admitted: Admitted,
  { route: { fallback }, asked: wanted }: Pick<Miss, "route" | "asked">,
  missing: HuiyuanError,
): Promise<void> {
  const { site, url, exchange, isUnsure, isTaken } = admitted;
  // The store, which could not be asked, may have what the origin lacks.
  const mayBeThere = isUnsure === true && isTaken !== true;
  if (fallback === undefined || fallback.key === wanted.key || mayBeThere) throw missing;
  const { key, status } = fallback;
  exchange.outcome = { kind: "other", tier: "none" };
  exchange.errorCode = missing.code;
  const plain = contextOf(admitted, "filling", CACHE_STATUS.fallback);
  const context: AnswerContext = {
    ...plain,
    headers: [fallbackHeaders(flatHeaders(plain.headers), status)],
    ...(status === 404 && { status, spend: undefined }),
  };
  const found = await site.stored.find(key);
  if (found.state === "tombstone") throw missing;
  if (found.state !== "absent") return answerFound(exchange, found, context);
  const { path, query } = urlOfKey(key, site.source?.keysHaveQueries === true);
  const route = missRouteOf(site, url, path);
  if (route?.action !== "mirror") throw missing;
  const asked = askedForKey(route, { path, query, instruction: undefined }, exchange.request.headers);
  if (asked.key !== key) throw missing;
  const asker = fetching({ ...admitted, isTaken: false }, found);
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

async function fetchWhole(admitted: Admitted, { route, asked, epoch }: Miss, missing: HuiyuanError) {
  const answer = await route.mirror
    .fetch({ ...missOf(admitted, asked, epoch), method: "GET", isPatient: true })
    .catch((cause: unknown) => {
      throw new HuiyuanError(missing.code, missing.message, { cause });
    });
  if (answer.kind === "finished") return { info: answer.info, spool: answer.head.spool, release: answer.release };
  if (answer.kind === "asked") throw missing;
  const end = await answer.follower.end().catch(() => undefined); // The client has left, or waited too long.
  if (end?.kind === "whole") return { info: end.info, spool: end.head.spool, release: answer.release };
  answer.release();
  throw missing;
}

/** `status`: the Cache-Status of what comes in place of a stored object. */
export async function serveMiss(
  admitted: Admitted,
  miss: MissAnswer,
  { route, status }: { readonly route: Route; readonly status?: string | undefined },
): Promise<void> {
  const { exchange } = admitted;
  exchange.outcome = { kind: "miss", tier: "origin" };
  const life = route.mirror.refresh.lifeOfAnswer(miss.kind === "asked" ? miss : miss.head);
  if (miss.kind === "asked")
    return answerAsked(exchange, miss.answer, contextOf(admitted, "filling", missStatus(miss.how, false), life));
  const { how, isKept } = miss;
  const contextFor = (state: AnswerState, isStored: boolean) => {
    const shown = isKept || state === "suspect" ? state : "unkept";
    return contextOf(admitted, shown, status ?? missStatus(how, isStored && admitted.isUnsure !== true), life);
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
export function missOf(
  { exchange, url, isTaken }: Pick<Admitted, "exchange" | "url" | "isTaken">,
  asked: Asked,
  epoch: number,
): MissRequest {
  const { via, cdnLoop } = marksOf(exchange);
  // Name by name, as everywhere on the way of a miss: V8 takes microseconds and kilobytes to add to a spread object.
  return {
    key: asked.key,
    isStored: asked.isStored && isTaken !== true,
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
export function marksOf({ request }: Pick<Exchange, "request">): LoopMarks {
  return { via: request.headers.via, cdnLoop: request.headers["cdn-loop"] as string | undefined };
}

async function exists({ site }: Admitted, key: Key): Promise<boolean> {
  return (await site.stored.bucket.lookup(key)).state === "object";
}

// Answers a download with the image that was located: its headers, its conditions and ranges, its bytes. It looks
// nothing up.

import { HuiyuanError } from "../../../core/errors.ts";
import type { Chunks } from "../../body/chunks.ts";
import { isLate, type MissAnswer } from "../../mirror/fill/reader.ts";
import type { RemainingLife } from "../../mirror/freshness/freshness.ts";
import type { Found, Stored } from "../../mirror/stored/stored.ts";
import type { Variant } from "../../mirror/variants/variants.ts";
import { flatHeaders, type HeaderList } from "../request/download-response.ts";
import { clientSignal, type DownloadExchange, type DownloadOutcome } from "../request/exchange.ts";
import type { AnswerState } from "../request/site.ts";
import { answerFilling, answerOriginHead } from "../response/answer-filling.ts";
import { type AnswerContext, answerObject, factsOf, type ObjectBytes } from "../response/object-answer.ts";
import {
  CACHE_STATUS,
  contextOf,
  type DownloadContext,
  isProven,
  type Located,
  type LocatedFetch,
  type LocatedStored,
  type LocatedVariant,
  type LocatedWhole,
  stateFor,
} from "./download-context.ts";
import { sendRedirect } from "./redirect.ts";

const MISS: DownloadOutcome = { kind: "miss", tier: "origin" };

/** Throws the error of an absence, original_replaced if a stored object is gone, and the codes of reads. */
export function answer(context: DownloadContext, located: Located): void | Promise<void> {
  switch (located.kind) {
    case "stored":
      return answerStored(context, located);
    case "fetch":
      return answerFetch(context, located);
    case "whole":
      return answerWhole(context, located);
    case "variant":
      return answerVariant(context, located);
    case "redirect":
      return sendRedirect(context.exchange, located);
    case "absent":
      throw located.error;
  }
}

/** Synchronous if memory has the object and no token is spent. */
function answerStored(context: DownloadContext, located: LocatedStored): void | Promise<void> {
  const { exchange } = context;
  const { life, revalidated } = located;
  const tier = tierOf(located);
  exchange.outcome = { kind: "hit", tier };
  const cacheStatus = revalidated === undefined ? hitStatus(tier, life) : CACHE_STATUS.revalidated[revalidated];
  return send(context, located, contextOf(context, { state: stateFor(located, "stored"), cacheStatus, life }));
}

/** Sends an image with these headers. Throws original_replaced if a stored one is gone. */
function send(
  { site, exchange }: DownloadContext,
  located: LocatedStored | LocatedWhole,
  headers: AnswerContext,
): void | Promise<void> {
  if (located.kind === "whole") return answerObject(exchange, located.info, located.bytes, headers);
  const { found, object, cacheRevision } = located;
  if (found !== undefined) return sendFound(exchange, site.stored, found, headers);
  return site.stored.open(object, cacheRevision).then((opened) => {
    if (opened !== undefined) return sendFound(exchange, site.stored, opened, headers);
    throw new HuiyuanError("original_replaced", `Cannot read "${object.info.key}": it has changed`);
  });
}

/** Sends an object of the bucket, and closes the reader of a large one. Else synchronous if no token is spent. */
function sendFound(
  exchange: DownloadExchange,
  { chunks }: Pick<Stored, "chunks">,
  found: Found,
  context: AnswerContext,
): void | Promise<void> {
  if (found.state === "large") return sendLarge(exchange, chunks, found, context);
  const { info, body } = found.object;
  // A body of the memory cache is shared by all requests and is not counted here.
  if (found.state === "loaded") exchange.response.onceOver(chunks.hold(body.byteLength));
  const taken = found.state === "loaded" ? found.free : undefined;
  return answerObject(exchange, info, { kind: "memory", body, taken }, context);
}

async function sendLarge(
  exchange: DownloadExchange,
  chunks: Chunks,
  { info, reader }: Extract<Found, { readonly state: "large" }>,
  context: AnswerContext,
): Promise<void> {
  const opened = chunks.open((start, end, into) => reader.read(start, end, into));
  exchange.response.onceOver(opened.close);
  try {
    const read = async (offset: number, end: number) => {
      // Only the read of the last byte waits for the checksum; a range that ends earlier waits for the proof here.
      if (end < info.size - 1) await reader.proven?.();
      return opened.next(offset, end);
    };
    await answerObject(exchange, info, { kind: "read", read }, context);
  } catch (error) {
    opened.close();
    throw error;
  } finally {
    reader.close();
  }
}

/** Answers while the body arrives, or with one that has just arrived. */
function answerFetch(context: DownloadContext, located: LocatedFetch): void | Promise<void> {
  const { exchange } = context;
  const { answer: miss, life } = located;
  exchange.outcome = MISS;
  if (miss.kind === "head") {
    const facts = { state: stateFor(located, "filling"), cacheStatus: missStatus(located, false), life };
    return answerOriginHead(exchange, miss.answer, contextOf(context, facts));
  }
  const { isStorable } = miss;
  const contextFor = (state: AnswerState, isStored: boolean) => {
    const shown = stateFor(located, isStorable || state === "suspect" ? state : "not-storable");
    return contextOf(context, { state: shown, cacheStatus: missStatus(located, isStored), life });
  };
  if (miss.kind === "filling")
    return answerFilling(exchange, miss, (state, isWhole) => contextFor(state, isWhole && miss.isStored()));
  if (isLate(miss.servedFrom)) exchange.outcome = { kind: "hit", tier: "spool" };
  const bytes = bytesOfFetch(miss, () => clientSignal(exchange));
  return answerObject(exchange, miss.info, bytes, contextFor("stored", miss.isStored()), factsOf(miss.info));
}

async function answerWhole(context: DownloadContext, located: LocatedWhole): Promise<void> {
  const { status, isStorable, life } = located;
  context.exchange.outcome = MISS;
  const state = stateFor(located, isStorable ? "stored" : "not-storable");
  await send(context, located, contextOf(context, { state, cacheStatus: status, life }));
}

function answerVariant(context: DownloadContext, located: LocatedVariant): void | Promise<void> {
  const { exchange, site } = context;
  const { variant, isStorable, status, isMiss, life, grant } = located;
  const tier = tierOfVariant(variant);
  exchange.outcome = isMiss ? MISS : { kind: "hit", tier };
  const state = stateFor(located, isStorable ? "stored" : "not-storable");
  const headers = contextOf(context, { state, cacheStatus: status ?? hitStatus(tier, life), life }, grant);
  return sendFound(exchange, site.stored, variant.found, headers);
}

/** Answers with the fallback image of a rule, and says so: a status of 200 would not show it. */
export async function answerFallback(
  context: DownloadContext,
  located: LocatedStored | LocatedWhole,
  { status, missing }: { readonly status: 200 | 404; readonly missing: HuiyuanError },
): Promise<void> {
  const { exchange } = context;
  const plain = contextOf(context, { state: "filling", cacheStatus: CACHE_STATUS.fallback, life: undefined });
  const headers: AnswerContext = {
    ...plain,
    headers: [fallbackHeaders(flatHeaders(plain.headers), status)],
    ...(status === 404 && { status, spend: undefined }),
  };
  exchange.outcome = { kind: "other", tier: "none" };
  exchange.errorCode = missing.code;
  await send(context, located, headers);
}

function fallbackHeaders(headers: HeaderList, status: 200 | 404): HeaderList {
  const at = headers.indexOf("Cache-Control");
  const list = status === 404 ? headers.toSpliced(at + 1, 1, "no-store") : headers;
  return [...list, "X-ErrNo", "-6101"];
}

/** The bytes of a body that has ended, from memory or from its spool. */
export function bytesOfFetch(
  { head: { spool } }: Exclude<MissAnswer, { readonly kind: "head" }>,
  client: () => AbortSignal,
): ObjectBytes {
  const whole = spool.end?.kind === "whole" ? spool.end.body.content : undefined;
  if (whole?.kind === "buffer") return { kind: "memory", body: whole.buffer };
  return { kind: "read", read: (offset) => spool.peek(offset) ?? spool.read(offset, client()) };
}

/** The Cache-Status of a fetch. `isStored`: its image is in the bucket, or surely gets there. */
export function missStatus({ answer: { servedFrom }, isNewer, certainty }: LocatedFetch, isStored: boolean): string {
  // A newer version from an earlier fetch has the status of a miss.
  if (isNewer && !isLate(servedFrom)) return CACHE_STATUS.replaced;
  if (servedFrom === "collapsed") return CACHE_STATUS.collapsed;
  if (servedFrom === "gone" || servedFrom === "failed") return CACHE_STATUS.revalidated[servedFrom];
  if (!isStored || !isProven(certainty)) return CACHE_STATUS.missed;
  return servedFrom === "after" ? CACHE_STATUS.spool : CACHE_STATUS.stored;
}

type Tier = Extract<DownloadOutcome["tier"], "memory" | "bucket" | "spool" | "renderer">;

/** An object whose upload to the remote store is pending counts as a hit in the spool. */
function tierOf({ found, object }: LocatedStored): Tier {
  if (found?.state === "memory") return "memory";
  return object.certainty === undefined ? "bucket" : "spool";
}

function tierOfVariant(variant: Variant): Tier {
  // `after`: an earlier request rendered it, and its write is pending.
  if (variant.kind === "made") return variant.servedFrom === "after" ? "spool" : "renderer";
  return variant.found.state === "memory" ? "memory" : "bucket";
}

/** RFC 9211 §2.6: the ttl of a stale object is below 0. */
function hitStatus(tier: Tier, life: RemainingLife | undefined): string {
  if (life === undefined || life.leftSeconds >= 0) return CACHE_STATUS[tier];
  return `huiyuan; hit; ttl=${life.leftSeconds}; detail=${tier === "renderer" ? "rendered" : tier}`;
}

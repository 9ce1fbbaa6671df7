// The context of one download that passed the checks, and the headers that its answer carries beside the object's own.
// It looks nothing up and fetches nothing.
import type { HuiyuanError } from "../../core/errors.ts";
import type { Found } from "../../mirror/stored/stored.ts";
import { Client } from "../request/client.ts";
import type { Exchange, Outcome } from "../request/exchange.ts";
import type { NamedObject, ObjectUrl } from "../request/object-name.ts";
import type { ProcessingRequest } from "../request/processing-request.ts";
import type { Admission, Site, Sites } from "../request/site.ts";
import { type AnswerContext, answerObject } from "../response/answer.ts";
import { answerHeaders } from "../response/answer-headers.ts";
import type { AnswerLife, AnswerState } from "../response/cache-control.ts";

/** An admitted download: its site, its object and its token. */
export interface DownloadContext {
  readonly site: Site;
  /** All sites of the same settings snapshot. */
  readonly sites: Sites;
  /** The token in the URL, if the download needs one; undefined: it needs none. */
  readonly token: { readonly sign: string | undefined } | undefined;
  readonly url: ObjectUrl;
  readonly object: NamedObject;
  readonly admission: Admission;
  readonly exchange: Exchange;
  /** The variant that the URL requests; undefined: it requests the object itself. */
  readonly processing?: ProcessingRequest | undefined;
  /** True: the URL ends in an alias, and an object with exactly this name is served before the variant. */
  readonly isNameFirst?: boolean | undefined;
  /** True: the original replaces a variant that a retry may render, so this answer must not be cached. */
  readonly isStandIn?: boolean | undefined;
  /** True: the store did not answer, so it may hold another object or a tombstone. */
  readonly isUnknown?: boolean | undefined;
  /** As in Entry: the origin's answer is passed on and not stored. */
  readonly isForeign?: boolean | undefined;
}

/** The same download with a short cache lifetime, whose answer does not claim that the object is stored. */
export function withUnknownStore(download: DownloadContext): DownloadContext {
  return { ...download, isUnknown: true };
}

/** The download after its key was found absent: `failure` makes the store unknown, `isForeign` also forbids storing. */
export function withLookupOf(
  download: DownloadContext,
  { failure, isForeign }: { readonly failure?: HuiyuanError | undefined; readonly isForeign?: boolean | undefined },
): DownloadContext {
  if (isForeign === true) return { ...withUnknownStore(download), isForeign };
  return failure === undefined ? download : withUnknownStore(download);
}

export const FROM_MEMORY: Outcome = { kind: "hit", tier: "memory" };

export const CACHE_STATUS = {
  memory: "huiyuan; hit; detail=memory",
  bucket: "huiyuan; hit; detail=bucket",
  spool: "huiyuan; hit; detail=spool",
  rendered: "huiyuan; hit; detail=rendered",
  missed: "huiyuan; fwd=uri-miss",
  stored: "huiyuan; fwd=uri-miss; stored",
  collapsed: "huiyuan; fwd=uri-miss; collapsed",
  fallback: "huiyuan; fwd=uri-miss; detail=fallback",
  replaced: "huiyuan; fwd=stale; fwd-status=200",
  revalidated: {
    current: "huiyuan; fwd=stale; fwd-status=304",
    gone: "huiyuan; fwd=stale; fwd-status=404",
    failed: "huiyuan; fwd=stale; detail=stale-if-error",
  },
};

/** `life`: remaining freshness; undefined: the object never becomes stale. */
export function contextOf(
  download: DownloadContext,
  state: AnswerState,
  cacheStatus: string,
  life?: AnswerLife,
): AnswerContext {
  const { site, exchange, admission, isStandIn, isUnknown } = download;
  const proven = isUnknown === true && state === "stored" ? "filling" : state;
  const shown = isStandIn === true && state !== "suspect" ? "stand-in" : proven;
  const { origin } = exchange.request.headers;
  const { isByAccept } = exchange;
  return {
    headers: answerHeaders(site, { origin, scope: admission.scope, state: shown, cacheStatus, life, isByAccept }),
    spend: admission.spend,
    client: () => clientSignal(exchange),
  };
}

/** Answers with an object of the bucket, and closes the reader of a large one. */
export async function answerLocated(
  exchange: Exchange,
  found: Extract<Found, { readonly state: "memory" | "loaded" | "large" }>,
  context: AnswerContext,
): Promise<void> {
  // Only a known site has objects.
  const { chunks } = (exchange.site as Site).stored;
  if (found.state !== "large") {
    const { info, body } = found.object;
    // A body of the memory cache is shared by all requests and is not counted here.
    if (found.state === "loaded") exchange.response.onceOver(chunks.hold(body.byteLength));
    const taken = found.state === "loaded" ? found.free : undefined;
    return answerObject(exchange, info, { kind: "memory", body, taken }, context);
  }
  const { info, reader } = found;
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

/** Created on first use: a memory hit needs none. */
export function clientOf(exchange: Exchange): Client {
  exchange.client ??= new Client(exchange.response);
  return exchange.client;
}

/** Aborts when the client disconnects before its answer has ended. */
export function clientSignal(exchange: Exchange): AbortSignal {
  return clientOf(exchange).signal;
}

// A download that may be served, and what its answer says beside the object's own headers.
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

/** From where, what, and under which token. */
export interface DownloadContext {
  readonly site: Site;
  /** All sites, of the same settings. */
  readonly sites: Sites;
  /** The token of the URL, which was needed; undefined: none was. */
  readonly token: { readonly sign: string | undefined } | undefined;
  readonly url: ObjectUrl;
  readonly object: NamedObject;
  readonly admission: Admission;
  readonly exchange: Exchange;
  /** What is to be made of an original; undefined: the object itself is wanted. */
  readonly processing?: ProcessingRequest | undefined;
  /** The wish is that of an alias, and an object that is really named so comes first. */
  readonly isNameFirst?: boolean | undefined;
  /** The object is shown in place of what could not be made of it now, and may be soon: for this once. */
  readonly isStandIn?: boolean | undefined;
  /** The store, which could not be asked, may have another object, or a tombstone. */
  readonly isUnknown?: boolean | undefined;
  /** As in Entry: what an origin brings is passed on and not stored. */
  readonly isForeign?: boolean | undefined;
}

/** What is answered is soon asked for again, and not said to be stored. */
export function withUnknownStore(download: DownloadContext): DownloadContext {
  return { ...download, isUnknown: true };
}

/** As what the bucket says of an absent object wants it to be fetched. */
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
  kept: {
    current: "huiyuan; fwd=stale; fwd-status=304",
    gone: "huiyuan; fwd=stale; fwd-status=404",
    failed: "huiyuan; fwd=stale; detail=stale-if-error",
  },
};

/** `life`: of what ages; undefined: it does not. */
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

/** Answers with an object of the bucket. The reader of a large one is closed behind it. */
export async function answerLocated(
  exchange: Exchange,
  found: Extract<Found, { readonly state: "memory" | "loaded" | "large" }>,
  context: AnswerContext,
): Promise<void> {
  // What was found is a site's.
  const { pieces } = (exchange.site as Site).stored;
  if (found.state !== "large") {
    const { info, body } = found.object;
    // Not of memory's own, which all share.
    if (found.state === "loaded") exchange.response.onceOver(pieces.hold(body.byteLength));
    const taken = found.state === "loaded" ? found.free : undefined;
    return answerObject(exchange, info, { kind: "memory", body, taken }, context);
  }
  const { info, reader } = found;
  const opened = pieces.open((start, end, into) => reader.read(start, end, into));
  exchange.response.onceOver(opened.close);
  try {
    const read = async (offset: number, end: number) => {
      // A range never comes to the last byte, which is held until all are known to be right.
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

/** Made when first needed: a hit in memory needs none. */
export function clientOf(exchange: Exchange): Client {
  exchange.client ??= new Client(exchange.response);
  return exchange.client;
}

/** Aborts when the client has left before its answer ended. */
export function clientSignal(exchange: Exchange): AbortSignal {
  return clientOf(exchange).signal;
}

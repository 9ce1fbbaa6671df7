// The context of one download that passed the checks, the image that it found, and the headers that its answer carries
// beside the object's own. Types and small functions; it looks nothing up.

import type { HuiyuanError } from "../../../core/errors.ts";
import type { Key, ObjectInfo } from "../../../core/object.ts";
import type { Certainty } from "../../bucket/contract/driver.ts";
import type { MissAnswer } from "../../mirror/fill/reader.ts";
import type { RemainingLife } from "../../mirror/freshness/freshness.ts";
import type { StaleKept } from "../../mirror/freshness/revalidation.ts";
import type { Found, StoredObject } from "../../mirror/stored/stored.ts";
import type { Variant } from "../../mirror/variants/variants.ts";
import { clientSignal, type DownloadExchange, type DownloadRequest, type Requester } from "../request/exchange.ts";
import type { NamedObject, ObjectUrl, ProcessingRequest } from "../request/object-name.ts";
import type { AnswerState, DownloadGrant, Route, Site, Sites } from "../request/site.ts";
import { type AnswerFacts, answerHeaders } from "../response/answer-headers.ts";
import type { AnswerContext, ObjectBytes } from "../response/object-answer.ts";

/** The image that is wanted, and the request that it is wanted for. */
export interface LocateRequest {
  readonly exchange: Requester;
  readonly site: Site;
  readonly url: ObjectUrl;
  readonly object: NamedObject;
  /** The client's headers; the origin receives those that the rule passes on. */
  readonly headers: DownloadRequest["headers"];
  /** Set if the image is the original of a variant; only its whole body is of use then. */
  readonly processing: ProcessingRequest | undefined;
  /** Watermark and fallback images are of use only whole, and a redirect is of no use for them. */
  readonly role: "image" | "watermark" | "fallback";
}

/** An admitted download. `processing`: the variant that the URL requests; undefined: it requests the object itself. */
export interface DownloadContext extends LocateRequest {
  readonly exchange: DownloadExchange;
  /** All sites of the same settings snapshot. */
  readonly sites: Sites;
  /** The token in the URL, if the download needs one; undefined: it needs none. */
  readonly token: { readonly sign: string | undefined } | undefined;
  readonly grant: DownloadGrant;
  /** True: the URL ends in an alias, and an object with exactly this name is served before the variant. */
  readonly isNameFirst: boolean;
  /** The result of its beginning and of its earlier rounds. */
  learnt: Learnt;
}

/** Whether a stored object may be served now, or must be revalidated first. */
export type FreshnessStep =
  | { readonly kind: "serve"; readonly life: RemainingLife | undefined }
  | { readonly kind: "revalidate"; readonly route: Route; readonly mayServeStale: boolean };

/**
 * The knowledge of an image before it is located. `change`: a recent look-up has turned out wrong. `outage`: the store
 * did not answer, so an image that the origin lacks may be there. `unreadable`: the store cannot read the object, so
 * that only the origin can replace it.
 */
export type Learnt =
  | { readonly about: "nothing" | "change"; readonly failure?: undefined }
  | LearntLook
  | { readonly about: "outage" | "unreadable"; readonly failure: HuiyuanError };

/** The image of this key as atHand() has found it, and its freshness. Undefined: it is not at hand. */
export interface LearntLook {
  readonly about: "look";
  readonly key: Key;
  readonly located: LocatedStored | undefined;
  readonly freshness: FreshnessStep | undefined;
  readonly failure?: undefined;
}

/** The image of a download, or the reason why there is none. */
export type Located = LocatedStored | LocatedFetch | LocatedWhole | LocatedVariant | LocatedRedirect | LocatedAbsent;

interface LocatedImage {
  /** `foreign`: the origin's answer is passed on and not stored. `foreign` and `unknown` never enter memory. */
  readonly certainty: Certainty;
  /** Remaining freshness; undefined: the image never becomes stale. */
  readonly life: RemainingLife | undefined;
  /** True: the original replaces a variant that a retry may render, so this answer must not be cached. */
  readonly isStandIn?: boolean;
}

/** In memory or in the bucket, and to be served. */
export interface LocatedStored extends LocatedImage {
  readonly kind: "stored";
  readonly object: StoredObject;
  /** Its bytes, if they are at hand. */
  readonly found: Found | undefined;
  /** Stored.cacheRevision() before the look-up. */
  readonly cacheRevision: number;
  /** The result of a revalidation that was made first, and gave nothing newer. */
  readonly revalidated: StaleKept["why"] | undefined;
}

/** Arriving from the origin, or just arrived. */
export interface LocatedFetch extends LocatedImage {
  readonly kind: "fetch";
  readonly answer: MissAnswer;
  /** True: it is a newer version of a stored object. */
  readonly isNewer: boolean;
  /** True: the origin has processed the image already. */
  readonly isProcessed: boolean;
}

/** Proven whole, at hand, and not in the bucket yet. */
export interface LocatedWhole extends LocatedImage {
  readonly kind: "whole";
  readonly info: ObjectInfo;
  readonly bytes: ObjectBytes;
  load(): Promise<Buffer>;
  readonly isStorable: boolean;
  readonly status: string;
}

export interface LocatedVariant extends LocatedImage {
  readonly kind: "variant";
  readonly variant: Variant;
  readonly isStorable: boolean;
  /** The Cache-Status if the origin was asked for the original; undefined: the variant's tier decides. */
  readonly status: string | undefined;
  /** True: the original came from the origin. */
  readonly isMiss: boolean;
  /** The rights of the download, together with those of its watermarks' tokens. */
  readonly grant: DownloadGrant;
}

export interface LocatedRedirect {
  readonly kind: "redirect";
  readonly status: number;
  readonly location: string;
}

export interface LocatedAbsent {
  readonly kind: "absent";
  readonly error: HuiyuanError;
  /** The image that the rule serves instead. */
  readonly fallback: Route["fallback"];
}

/** Whether the store is known to have the object, or to get it. */
export function isProven(certainty: Certainty): boolean {
  return certainty === "confirmed" || certainty === "pending";
}

export const CACHE_STATUS = {
  memory: "huiyuan; hit; detail=memory",
  bucket: "huiyuan; hit; detail=bucket",
  spool: "huiyuan; hit; detail=spool",
  renderer: "huiyuan; hit; detail=rendered",
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

/** `grant`: replaces the download's own. */
export function contextOf(
  { site, exchange, grant: own }: Pick<DownloadContext, "site" | "exchange" | "grant">,
  { state, cacheStatus, life }: Pick<AnswerFacts, "state" | "cacheStatus" | "life">,
  grant = own,
): AnswerContext {
  const { origin } = exchange.request.headers;
  const { isByAccept } = exchange;
  return {
    headers: answerHeaders(site, { origin, scope: grant.scope, state, cacheStatus, life, isByAccept }),
    spend: grant.spend,
    client: () => clientSignal(exchange),
  };
}

/** The state that an answer tells caches, for an image of this certainty. */
export function stateFor({ certainty, isStandIn }: LocatedImage, state: AnswerState): AnswerState {
  const proven = state === "stored" && !isProven(certainty) ? "filling" : state;
  return isStandIn === true && state !== "suspect" ? "stand-in" : proven;
}

// Evaluates conditional requests (RFC 9110 §13) against an object with a strong entity tag. Pure.
import { parseHttpDate } from "../../../core/http-date.ts";
import type { DownloadRequest } from "./exchange.ts";

/** The part of a request that has conditions; node gives each of these headers as one text. */
export type ConditionalRequest = Pick<DownloadRequest, "method" | "headers">;

export interface ObjectValidators {
  /** A strong tag, with its quotes. */
  readonly etag: string;
  /** Unix milliseconds. */
  readonly modifiedAt: number;
  /**
   * True if no response with this date was sent within the same second: the date is a strong validator (RFC 9110
   * §8.8.2.2).
   */
  readonly isDateStrong: boolean;
  /**
   * True for an image that was processed here. Its source may be older than the one before, so its date may go back.
   */
  readonly isMade: boolean;
}

/** `range`: the Range header applies. `full`: it does not, or there is none. */
export type ConditionVerdict = "full" | "range" | "not-modified" | "precondition-failed";

/** For GET and HEAD, in the order of RFC 9110 §13.2.2. An unreadable date counts as absent. */
export function evaluate({ method, headers }: ConditionalRequest, object: ObjectValidators): ConditionVerdict {
  const { "if-match": ifMatch, "if-none-match": ifNoneMatch, range } = headers;
  const { "if-modified-since": ifModifiedSince, "if-unmodified-since": ifUnmodifiedSince } = headers;
  if (ifMatch !== undefined) {
    if (!matches(ifMatch, object.etag, "strong")) return "precondition-failed";
  } else if (ifUnmodifiedSince !== undefined) {
    const date = parseHttpDate(ifUnmodifiedSince);
    if (date !== undefined && !isUnmodifiedSince(date, object)) return "precondition-failed";
  }
  if (ifNoneMatch !== undefined) {
    if (matches(ifNoneMatch, object.etag, "weak")) return "not-modified";
  } else if (ifModifiedSince !== undefined) {
    const date = parseHttpDate(ifModifiedSince);
    if (date !== undefined && isUnmodifiedSince(date, object)) return "not-modified";
  }
  if (method !== "GET" || range === undefined) return "full";
  const ifRange = headers["if-range"] as string | undefined;
  return ifRange === undefined || holdsIfRange(ifRange, object) ? "range" : "full";
}

/**
 * Whether the response depends on the object's version: If-Match with a list, or else a date in If-Unmodified-Since. A
 * running fill has no validators, so such a request waits for its end.
 */
export function wantsVersion({ headers }: Pick<ConditionalRequest, "headers">): boolean {
  const { "if-match": ifMatch, "if-unmodified-since": ifUnmodifiedSince } = headers;
  if (ifMatch !== undefined) return ifMatch.trim() !== "*";
  return ifUnmodifiedSince !== undefined && parseHttpDate(ifUnmodifiedSince) !== undefined;
}

/** True for `*`, and if the list holds the tag. Weak comparison ignores `W/`, strong comparison refuses it. */
function matches(list: string, etag: string, comparison: "strong" | "weak"): boolean {
  if (list.trim() === "*") return true;
  for (const [, weak, opaque] of list.matchAll(/(W\/)?("[^"]*")/g)) {
    if (opaque === etag && (comparison === "weak" || weak === undefined)) return true;
  }
  return false;
}

/** For an image that was processed here only the exact date counts, because dates may go back. */
function isUnmodifiedSince(date: number, { modifiedAt, isMade }: ObjectValidators): boolean {
  return isMade ? seconds(modifiedAt) === date : seconds(modifiedAt) <= date;
}

/**
 * A date must be exactly the object's, and strong (§13.1.5). A client whose copy is older, newer, or possibly another
 * one of the same second gets the whole object.
 */
function holdsIfRange(value: string, object: ObjectValidators): boolean {
  const text = value.trim();
  if (text.startsWith('"')) return text === object.etag;
  return object.isDateStrong && parseHttpDate(text) === seconds(object.modifiedAt);
}

function seconds(milliseconds: number): number {
  return Math.floor(milliseconds / 1_000);
}

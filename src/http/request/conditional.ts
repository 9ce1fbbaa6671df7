// Conditional requests (RFC 9110 §13) against an object with a strong entity tag. Pure.
import { parseHttpDate } from "../../core/http-date.ts";

export interface Conditions {
  readonly method: string;
  readonly ifMatch: string | undefined;
  readonly ifNoneMatch: string | undefined;
  readonly ifModifiedSince: string | undefined;
  readonly ifUnmodifiedSince: string | undefined;
  readonly ifRange: string | undefined;
  readonly range: string | undefined;
}

export interface Validators {
  /** Strong, with its quotes. */
  readonly etag: string;
  /** Unix milliseconds. */
  readonly modifiedAt: number;
  /** No answer that had this date was sent within its second (RFC 9110 §8.8.2.2): it tells the version as a tag does. */
  readonly isDateStrong: boolean;
  /** Made here of what may be older than what its URL showed before: its date may go back, and only the very date tells it. */
  readonly isMade: boolean;
}

/** `range`: the Range header applies. `full`: it does not, or there is none. */
export type ConditionVerdict = "full" | "range" | "not-modified" | "precondition-failed";

/** For GET and HEAD, in the order of RFC 9110 §13.2.2. A date that cannot be read is as if it had not been sent. */
export function evaluate(conditions: Conditions, object: Validators): ConditionVerdict {
  const { ifMatch, ifNoneMatch, ifModifiedSince, ifUnmodifiedSince } = conditions;
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
  const { method, range, ifRange } = conditions;
  if (method !== "GET" || range === undefined) return "full";
  return ifRange === undefined || holdsIfRange(ifRange, object) ? "range" : "full";
}

/**
 * Whether the answer depends on which version there is: If-Match with a list, or else a date of If-Unmodified-Since. What
 * is still arriving has no validators yet, and the end of it must be waited for.
 */
export function wantsVersion({
  ifMatch,
  ifUnmodifiedSince,
}: Pick<Conditions, "ifMatch" | "ifUnmodifiedSince">): boolean {
  if (ifMatch !== undefined) return ifMatch.trim() !== "*";
  return ifUnmodifiedSince !== undefined && parseHttpDate(ifUnmodifiedSince) !== undefined;
}

/** True for `*` and where the list holds the tag; weak comparison ignores `W/`, strong refuses it. */
function matches(list: string, etag: string, comparison: "strong" | "weak"): boolean {
  if (list.trim() === "*") return true;
  for (const [, weak, opaque] of list.matchAll(/(W\/)?("[^"]*")/g)) {
    if (opaque === etag && (comparison === "weak" || weak === undefined)) return true;
  }
  return false;
}

function isUnmodifiedSince(date: number, { modifiedAt, isMade }: Validators): boolean {
  return isMade ? seconds(modifiedAt) === date : seconds(modifiedAt) <= date;
}

/**
 * A date has to be exactly the object's, and strong (§13.1.5): a client that has an older or a newer copy, or may have
 * another of the same second, gets the whole again.
 */
function holdsIfRange(value: string, object: Validators): boolean {
  const text = value.trim();
  if (text.startsWith('"')) return text === object.etag;
  return object.isDateStrong && parseHttpDate(text) === seconds(object.modifiedAt);
}

function seconds(milliseconds: number): number {
  return Math.floor(milliseconds / 1_000);
}

// Conditional requests (RFC 9110 §13) against an object with a strong entity tag. Pure.

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
    if (date !== undefined && seconds(object.modifiedAt) > date) return "precondition-failed";
  }
  if (ifNoneMatch !== undefined) {
    if (matches(ifNoneMatch, object.etag, "weak")) return "not-modified";
  } else if (ifModifiedSince !== undefined) {
    const date = parseHttpDate(ifModifiedSince);
    if (date !== undefined && seconds(object.modifiedAt) <= date) return "not-modified";
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

/** A date has to be exactly the object's (§13.1.5): a client that has an older or a newer copy gets the whole again. */
function holdsIfRange(value: string, object: Validators): boolean {
  const text = value.trim();
  if (text.startsWith('"')) return text === object.etag;
  return parseHttpDate(text) === seconds(object.modifiedAt);
}

function seconds(milliseconds: number): number {
  return Math.floor(milliseconds / 1_000);
}

const TIME = "(?<time>\\d{2}:\\d{2}:\\d{2})";
const FORMATS = [
  new RegExp(`^[A-Z][a-z]{2}, (?<day>\\d{2}) (?<month>[A-Z][a-z]{2}) (?<year>\\d{4}) ${TIME} GMT$`),
  new RegExp(`^[A-Z][a-z]{2,5}day, (?<day>\\d{2})-(?<month>[A-Z][a-z]{2})-(?<year>\\d{2}) ${TIME} GMT$`),
  new RegExp(`^[A-Z][a-z]{2} (?<month>[A-Z][a-z]{2}) (?<day>[ \\d]\\d) ${TIME} (?<year>\\d{4})$`),
];

/**
 * Unix seconds of the three date formats of RFC 9110 §5.6.7; undefined for anything else and for days that are in no
 * calendar. `now`, Unix milliseconds, decides the century of a two-digit year.
 */
export function parseHttpDate(text: string, now: number = Date.now()): number | undefined {
  const date = text.trim();
  for (const format of FORMATS) {
    const parts = format.exec(date)?.groups;
    if (parts === undefined) continue;
    const { day = "", month, year = "", time } = parts;
    const fullYear = year.length === 2 ? fullYearOf(Number(year), now) : year;
    const usual = `${day.trim().padStart(2, "0")} ${month} ${fullYear} ${time} GMT`;
    const milliseconds = Date.parse(usual);
    // Date.parse carries 31 February over into March; what it reads back as tells.
    return new Date(milliseconds).toUTCString().endsWith(`, ${usual}`) ? milliseconds / 1_000 : undefined;
  }
  return undefined;
}

/** A year that would lie more than 50 years ahead is the past one with the same digits (RFC 9110 §5.6.7). */
function fullYearOf(twoDigits: number, now: number): number {
  const thisYear = new Date(now).getUTCFullYear();
  const year = thisYear - (thisYear % 100) + twoDigits;
  return year > thisYear + 50 ? year - 100 : year;
}

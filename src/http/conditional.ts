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

/** In the order of RFC 9110 §13.2.2. A date that cannot be read is as if it had not been sent. */
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

/** True for `*` and where the list holds the tag; weak comparison ignores `W/`, strong refuses it. */
function matches(list: string, etag: string, comparison: "strong" | "weak"): boolean {
  if (list.trim() === "*") return true;
  for (const [, weak, opaque] of list.matchAll(/(W\/)?("[^"]*")/g)) {
    if (opaque === etag && (comparison === "weak" || weak === undefined)) return true;
  }
  return false;
}

/** A date counts when it is exactly the object's: this server makes no second version within a second of the first. */
function holdsIfRange(value: string, object: Validators): boolean {
  const text = value.trim();
  if (text.startsWith('"')) return text === object.etag;
  return parseHttpDate(text) === seconds(object.modifiedAt);
}

function seconds(milliseconds: number): number {
  return Math.floor(milliseconds / 1_000);
}

const IMF = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;
const RFC850 = /^[A-Z][a-z]+day, (\d{2})-([A-Z][a-z]{2})-(\d{2}) (\d{2}:\d{2}:\d{2}) GMT$/;
const ASCTIME = /^[A-Z][a-z]{2} ([A-Z][a-z]{2}) ([ \d]\d) (\d{2}:\d{2}:\d{2}) (\d{4})$/;

/** Unix seconds of the three date formats of RFC 9110 §5.6.7; undefined for anything else. */
export function parseHttpDate(text: string): number | undefined {
  const date = text.trim();
  if (IMF.test(date)) return toSeconds(date);
  const old = RFC850.exec(date);
  // A two-digit year is of this century up to 69, as POSIX reads it.
  if (old !== null) return toSeconds(`${old[1]} ${old[2]} ${Number(old[3]) < 70 ? "20" : "19"}${old[3]} ${old[4]} GMT`);
  const c = ASCTIME.exec(date);
  return c === null ? undefined : toSeconds(`${c[2]?.trim()} ${c[1]} ${c[4]} ${c[3]} GMT`);
}

function toSeconds(text: string): number | undefined {
  const milliseconds = Date.parse(text);
  return Number.isNaN(milliseconds) ? undefined : milliseconds / 1_000;
}

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type ConditionalRequest,
  type ConditionVerdict,
  evaluate,
  wantsVersion,
} from "../../../../../src/serve/http/request/conditional.ts";
import { anyText } from "../../../../helpers/texts.ts";

const ETAG = '"0123456789abcdef0123456789abcdef"';
// An object with milliseconds, which HTTP dates do not have.
const OBJECT = { etag: ETAG, modifiedAt: Date.UTC(1994, 10, 6, 8, 49, 37, 750), isDateStrong: true, isMade: false };
const SAME = "Sun, 06 Nov 1994 08:49:37 GMT";
const BEFORE = "Sun, 06 Nov 1994 08:49:36 GMT";
const AFTER = "Sun, 06 Nov 1994 08:49:38 GMT";

interface Conditions {
  readonly method?: string;
  readonly ifMatch?: string | undefined;
  readonly ifNoneMatch?: string | undefined;
  readonly ifModifiedSince?: string | undefined;
  readonly ifUnmodifiedSince?: string | undefined;
  readonly ifRange?: string | undefined;
  readonly range?: string | undefined;
}

const requestOf = ({ method = "GET", range, ...conditions }: Conditions): ConditionalRequest => ({
  method,
  headers: {
    "if-match": conditions.ifMatch,
    "if-none-match": conditions.ifNoneMatch,
    "if-modified-since": conditions.ifModifiedSince,
    "if-unmodified-since": conditions.ifUnmodifiedSince,
    "if-range": conditions.ifRange,
    range,
  },
});

type Row = [claim: string, conditions: Conditions, verdict: ConditionVerdict];
const verdictOf = (conditions: Conditions) => evaluate(requestOf(conditions), OBJECT);

describe("evaluate() compares If-None-Match weakly", () => {
  test.each<Row>([
    ["the tag", { ifNoneMatch: ETAG }, "not-modified"],
    ["the tag made weak on the way", { ifNoneMatch: `W/${ETAG}` }, "not-modified"],
    ["any", { ifNoneMatch: "*" }, "not-modified"],
    ["any, with blanks", { ifNoneMatch: " * " }, "not-modified"],
    ["a list with the tag", { ifNoneMatch: `"a", ${ETAG} ,W/"b"` }, "not-modified"],
    ["a list without blanks", { ifNoneMatch: `"a",W/${ETAG}` }, "not-modified"],
    ["a tag with a comma before it", { ifNoneMatch: `"a,b", ${ETAG}` }, "not-modified"],
    ["for HEAD too", { ifNoneMatch: ETAG, method: "HEAD" }, "not-modified"],
    ["another tag", { ifNoneMatch: '"other"' }, "full"],
    ["the start of the tag", { ifNoneMatch: `${ETAG.slice(0, 20)}"` }, "full"],
    ["the tag in other letters", { ifNoneMatch: ETAG.toUpperCase() }, "full"],
    ["the tag without quotes", { ifNoneMatch: ETAG.slice(1, -1) }, "full"],
    ["nothing", { ifNoneMatch: "" }, "full"],
    ["an asterisk in quotes", { ifNoneMatch: '"*"' }, "full"],
    ["it overrules If-Modified-Since", { ifNoneMatch: '"other"', ifModifiedSince: AFTER }, "full"],
    ["it comes before a range", { ifNoneMatch: ETAG, range: "bytes=0-1" }, "not-modified"],
  ])("%s", (_claim, conditions, verdict) => {
    expect(verdictOf(conditions)).toBe(verdict);
  });
});

describe("evaluate() compares If-Modified-Since to the second", () => {
  test.each<Row>([
    ["the object's own date", { ifModifiedSince: SAME }, "not-modified"],
    ["a later date", { ifModifiedSince: AFTER }, "not-modified"],
    ["an earlier date", { ifModifiedSince: BEFORE }, "full"],
    ["a date far ahead", { ifModifiedSince: "Fri, 31 Dec 9999 23:59:59 GMT" }, "not-modified"],
    ["no date", { ifModifiedSince: "yesterday" }, "full"],
    ["a date that some programs would read", { ifModifiedSince: "2030-01-01" }, "full"],
    ["the day that is not", { ifModifiedSince: "Sun, 31 Feb 2030 00:00:00 GMT" }, "full"],
  ])("%s", (_claim, conditions, verdict) => {
    expect(verdictOf(conditions)).toBe(verdict);
  });
});

test.each<[string, Conditions, ConditionVerdict]>([
  ["its own date", { ifModifiedSince: SAME }, "not-modified"],
  ["a later date, which what it has taken the place of may have had", { ifModifiedSince: AFTER }, "full"],
  ["an earlier date", { ifModifiedSince: BEFORE }, "full"],
  ["its own date, that a range must be of", { ifUnmodifiedSince: SAME, range: "bytes=0-1" }, "range"],
  ["a later date, that a range must be of", { ifUnmodifiedSince: AFTER, range: "bytes=0-1" }, "precondition-failed"],
  ["an earlier date, that a range must be of", { ifUnmodifiedSince: BEFORE }, "precondition-failed"],
])("evaluate() accepts only the exact date of an image processed here: %s", (_claim, conditions, verdict) => {
  expect(evaluate(requestOf(conditions), { ...OBJECT, isMade: true })).toBe(verdict);
});

describe("evaluate() heeds If-Match and If-Unmodified-Since", () => {
  test.each<Row>([
    ["the tag", { ifMatch: ETAG }, "full"],
    ["any", { ifMatch: "*" }, "full"],
    ["a list with the tag", { ifMatch: `"a", ${ETAG}` }, "full"],
    ["another tag", { ifMatch: '"other"' }, "precondition-failed"],
    ["a weak tag, which strong comparison never takes", { ifMatch: `W/${ETAG}` }, "precondition-failed"],
    ["nothing", { ifMatch: "" }, "precondition-failed"],
    ["the object's own date", { ifUnmodifiedSince: SAME }, "full"],
    ["a later date", { ifUnmodifiedSince: AFTER }, "full"],
    ["an earlier date", { ifUnmodifiedSince: BEFORE }, "precondition-failed"],
    ["no date", { ifUnmodifiedSince: "0" }, "full"],
    ["If-Match overrules the date", { ifMatch: ETAG, ifUnmodifiedSince: BEFORE }, "full"],
    ["before If-None-Match", { ifMatch: '"other"', ifNoneMatch: ETAG }, "precondition-failed"],
    ["and then If-None-Match", { ifMatch: ETAG, ifNoneMatch: ETAG }, "not-modified"],
    ["before a range", { ifMatch: '"other"', range: "bytes=0-1" }, "precondition-failed"],
  ])("%s", (_claim, conditions, verdict) => {
    expect(verdictOf(conditions)).toBe(verdict);
  });
});

describe("evaluate() applies a range only if If-Range allows it", () => {
  const range = "bytes=0-1";
  test.each<Row>([
    ["no range", {}, "full"],
    ["no If-Range", { range }, "range"],
    ["a HEAD has no ranges", { range, method: "HEAD" }, "full"],
    ["the tag", { range, ifRange: ETAG }, "range"],
    ["the tag with blanks", { range, ifRange: ` ${ETAG} ` }, "range"],
    ["another tag", { range, ifRange: '"other"' }, "full"],
    ["a weak tag", { range, ifRange: `W/${ETAG}` }, "full"],
    ["any, which is no tag", { range, ifRange: "*" }, "full"],
    ["a list, which it may not be", { range, ifRange: `${ETAG}, "a"` }, "full"],
    ["exactly the object's date", { range, ifRange: SAME }, "range"],
    ["an earlier date", { range, ifRange: BEFORE }, "full"],
    ["a later date", { range, ifRange: AFTER }, "full"],
    ["no date", { range, ifRange: "x" }, "full"],
    ["without a range", { ifRange: ETAG }, "full"],
  ])("%s", (_claim, conditions, verdict) => {
    expect(verdictOf(conditions)).toBe(verdict);
  });
});

test("evaluate() refuses a weak date in If-Range", () => {
  const conditions = { range: "bytes=0-1", ifRange: SAME };
  expect(evaluate(requestOf(conditions), { ...OBJECT, isDateStrong: false })).toBe("full");
});

test("evaluate() accepts any texts", () => {
  const text = fc.option(
    fc.oneof(
      anyText(),
      fc.array(fc.constantFrom('"', "W/", ",", " ", "*", ETAG, SAME, "GMT")).map((parts) => parts.join("")),
    ),
    { nil: undefined },
  );
  const conditions = fc.record({
    method: fc.constantFrom("GET", "HEAD"),
    ifMatch: text,
    ifNoneMatch: text,
    ifModifiedSince: text,
    ifUnmodifiedSince: text,
    ifRange: text,
    range: text,
  });
  fc.assert(
    fc.property(conditions, (all) => {
      const verdict = evaluate(requestOf(all), OBJECT);
      expect(["full", "range", "not-modified", "precondition-failed"]).toContain(verdict);
      if (all.range === undefined || all.method === "HEAD") expect(verdict).not.toBe("range");
      if (all.ifMatch === undefined && all.ifUnmodifiedSince === undefined)
        expect(verdict).not.toBe("precondition-failed");
      if (all.ifNoneMatch === undefined && all.ifModifiedSince === undefined) expect(verdict).not.toBe("not-modified");
    }),
    { numRuns: 1_000 },
  );
});

const DATE = "Sun, 06 Nov 1994 08:49:37 GMT";

test.each<[string | undefined, string | undefined, boolean]>([
  [undefined, undefined, false],
  ['"a"', undefined, true],
  ['"a"', DATE, true],
  [" * ", undefined, false],
  ["*", DATE, false],
  [undefined, DATE, true],
  [undefined, "yesterday", false],
])("wantsVersion() of If-Match %j and If-Unmodified-Since %j is %j", (ifMatch, ifUnmodifiedSince, expected) => {
  expect(wantsVersion(requestOf({ ifMatch, ifUnmodifiedSince }))).toBe(expected);
});

// Every parser of client input takes time in proportion to its length: no regular expression rescans characters. The
// texts are far longer than a request head may be. A quadratic parser would need minutes, so the deadline is safe on
// any machine.
import fc from "fast-check";
import { expect, test } from "vitest";
import { HuiyuanError } from "../../../../../src/core/errors.ts";
import { picturesOn } from "../../../../../src/operate/doctor/find-pictures.ts";
import { refererVerdict } from "../../../../../src/serve/http/request/authorizer.ts";
import { clientAddress } from "../../../../../src/serve/http/request/client-address.ts";
import { evaluate } from "../../../../../src/serve/http/request/conditional.ts";
import { readInstruction } from "../../../../../src/serve/http/request/object-name.ts";
import { parseRange } from "../../../../../src/serve/http/request/range.ts";
import { hostOf, parseTarget } from "../../../../../src/serve/http/request/target.ts";
import { withoutToken } from "../../../../../src/serve/http/request-log.ts";
import { createCacheControl } from "../../../../../src/serve/http/response/cache-control.ts";
import { corsHeaders } from "../../../../../src/serve/http/response/cors.ts";
import { tokenFromQuery } from "../../../../../src/serve/sign/token.ts";
import { startCpuTimer } from "../../../../helpers/cpu-time.ts";

const CHARACTERS = 200_000;
const DEADLINE_MS = 1_000;

const OBJECT = { etag: '"0123456789abcdef0123456789abcdef"', modifiedAt: 0, isDateStrong: true, isMade: false };
const CONDITIONS = ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range", "range"];
const judge = (text: string) =>
  evaluate({ method: "GET", headers: Object.fromEntries(CONDITIONS.map((name) => [name, text])) }, OBJECT);

const READERS: readonly [name: string, read: (text: string) => unknown, pieces: readonly string[]][] = [
  ["hostOf", hostOf, ["a", "a.", "-", ":", ":1", "[", ":.", "]", ".", " "]],
  [
    "parseTarget",
    (text) => parseTarget(text.slice(0, 8_192), ["a"]),
    ["http://", "/", "%2", "%41", "a", "?", ".", "./"],
  ],
  ["readInstruction", readInstruction, ["imageView2", "&", "%", "%41", "%ff", "/", "|", "a"]],
  ["tokenFromQuery", tokenFromQuery, ["sign=", "&", "%", "%41", "=", " ", "a"]],
  ["parseRange", (text) => parseRange(text, 1_000), ["bytes=", "0", "-", ",", " ", "0-1,"]],
  ["evaluate", judge, ['"', 'W/"', "W/", "*", ",", " ", "a", "Sun, ", "06 ", "Nov "]],
  ["evaluate, a tag alone", (text) => evaluateTag(text), ['"', 'W/"', "W/", ",", " ", "a"]],
  [
    "refererVerdict",
    (text) => refererVerdict(text, { mode: "allow", domains: ["*.a.example"], allowEmpty: false }),
    ["https://", "a", ".", "/", "@", ":", "%41"],
  ],
  ["corsHeaders", (text) => corsHeaders(["https://a.example"], text), ["https://", "a", "/"]],
  [
    "createCacheControl",
    (text) => createCacheControl(text)({ kind: "none" }, "filling"),
    ["max-age", "=", " ", '"', "1", ",", "-"],
  ],
  [
    "withoutToken",
    withoutToken,
    [
      "?",
      "&",
      "sign=",
      "a",
      "/image/",
      "%2fimage%2f",
      "%4",
      "=",
      "http://",
      "@",
      ";",
      "%73",
      "%25",
      "25",
      "sign",
      "+",
      "%40",
    ],
  ],
  [
    "clientAddress",
    (text) => clientAddress("10.0.0.1", text, ["10.0.0.0/8"]),
    ["10.0.0.2,", "1.", ":", "[", "]", ",", " ", "1"],
  ],
  [
    "picturesOn",
    (text) => picturesOn(text, "http://a.example/", "http://a.example"),
    ["<img", "<img ", " src", "src=", "=", '"', "'", " ", ">", "a"],
  ],
];

function evaluateTag(text: string): string {
  return evaluate({ method: "GET", headers: { "if-none-match": text } }, OBJECT);
}

test.each(READERS)("%s() reads 200,000 hostile characters in linear time", (_name, read, pieces) => {
  const few = fc.array(fc.constantFrom(...pieces), { minLength: 1, maxLength: 3 }).map((parts) => parts.join(""));
  const text = fc
    .tuple(fc.oneof(fc.constant(""), few), few, fc.oneof(fc.constant("!"), few))
    .map(([start, pump, end]) => `${start}${pump.repeat(Math.ceil(CHARACTERS / pump.length))}${end}`);
  fc.assert(
    fc.property(text, (hostile) => {
      const cpuMs = startCpuTimer();
      try {
        read(hostile);
      } catch (error) {
        if (!(error instanceof HuiyuanError)) throw error;
      }
      expect(cpuMs()).toBeLessThan(DEADLINE_MS);
    }),
    { numRuns: 60, endOnFailure: true },
  );
});

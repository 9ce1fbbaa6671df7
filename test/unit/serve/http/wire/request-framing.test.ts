// Framing without sockets: the test plays the parser and reports where requests begin and end.
import { describe, expect, test } from "vitest";
import { createRequestFraming } from "../../../../../src/serve/http/wire/request-framing.ts";

const HEAD = "POST / HTTP/1.1\r\nHost: a.example\r\n\r\n";
const NEXT = "GET /\xe9 HTTP/1.1\r\n\r\n";

interface Given {
  readonly head: string;
  /** Undefined: the body is chunked. */
  readonly declaredBytes?: number;
  readonly body: string;
}

/** The slices for a parser if the bytes arrive in `pieces`. */
function slicesOf({ head, declaredBytes, body }: Given, pieces: readonly string[]): readonly string[] {
  const framing = createRequestFraming();
  const slices: string[] = [];
  let parsed = 0;
  for (const piece of pieces) {
    let rest = framing.escapeLine(Buffer.from(piece, "latin1"));
    while (rest.length > 0) {
      const length = framing.take(rest);
      expect(length).toBeGreaterThan(0);
      slices.push(rest.toString("latin1", 0, length));
      const before = parsed;
      parsed += length;
      if (before < head.length && parsed >= head.length) framing.beginBody(declaredBytes);
      if (before < head.length + body.length && parsed >= head.length + body.length) framing.endRequest();
      rest = framing.escapeLine(rest.subarray(length));
    }
  }
  return slices;
}

/** Expects slices to end with the head and with the request, and the next request line to be recognized. */
function expectCuts(given: Given, pieces: readonly string[]): void {
  const slices = slicesOf(given, pieces);
  const whole = given.head.length + given.body.length;
  let at = 0;
  const ends = new Set(slices.map(({ length }) => (at += length)));
  expect(ends).toContain(given.head.length);
  expect(ends).toContain(whole);
  // The next request line was recognized, because its raw byte is escaped.
  expect(slices.join("").slice(whole)).toBe(NEXT.replace("\xe9", "%E9"));
}

const chunk = (text: string, more = "") => `${text.length.toString(16)}${more}\r\n${text}\r\n`;
const TRICKY = "0\r\n\r\nGET / HTTP/1.1\r\n\r\n\n0\r\n\r\n";

describe.each<[string, Given]>([
  ["of known length", { head: HEAD, declaredBytes: TRICKY.length, body: TRICKY }],
  ["in one chunk", { head: HEAD, body: `${chunk(TRICKY)}0\r\n\r\n` }],
  ["in a chunk each byte", { head: HEAD, body: `${[...TRICKY].map((byte) => chunk(byte)).join("")}0\r\n\r\n` }],
  ["of no chunk but the last", { head: HEAD, body: "0\r\n\r\n" }],
  [
    "with sizes in large letters and zeros before them",
    { head: HEAD, body: `000A\r\n${"\n".repeat(10)}\r\n000\r\n\r\n` },
  ],
  ["with extensions", { head: HEAD, body: `${chunk(TRICKY, ";a=0a;b")}0;last\r\n\r\n` }],
  ["with trailers", { head: HEAD, body: `${chunk(TRICKY)}0\r\nA: b\r\nC: 0\r\n\r\n` }],
])("the framing of a request with a body %s", (_what, given) => {
  const bytes = given.head + given.body + NEXT;

  test("cuts after the head and after the request", () => {
    expectCuts(given, [bytes]);
  });

  test("cuts there in whatever pieces the bytes arrive", () => {
    for (let at = 1; at < bytes.length; at += 1) expectCuts(given, [bytes.slice(0, at), bytes.slice(at)]);
    expectCuts(given, [...bytes]);
  });
});

test.each([
  ["what looks like last chunks", "\n0\r\n\r\n"],
  ["empty lines", "\r\n\r\n"],
  ["digits", "0"],
])("take() makes one slice of each piece of a chunked body of %s", (_what, text) => {
  const MEBIBYTE = 1_048_576;
  const data = text.repeat(Math.ceil(MEBIBYTE / text.length));
  const body = `${chunk(data)}0\r\n\r\n`;
  const bytes = HEAD + body;
  const pieces = Array.from({ length: Math.ceil(bytes.length / 65_536) }, (_, index) =>
    bytes.slice(index * 65_536, (index + 1) * 65_536),
  );
  // The head is one more slice.
  expect(slicesOf({ head: HEAD, body }, pieces)).toHaveLength(pieces.length + 1);
});

test("take() leaves an invalid chunk size to the parser", () => {
  const framing = createRequestFraming();
  framing.take(framing.escapeLine(Buffer.from(HEAD)));
  framing.beginBody(undefined);
  for (const text of ["x\r\n", "\r\n\r\n", "0\r\n\r\n", "\n"])
    expect(framing.take(Buffer.from(text))).toBe(text.length);
});

test("begun() returns the first bytes of the current request, in whatever pieces they arrive", () => {
  const framing = createRequestFraming();
  const give = (text: string) => framing.take(framing.escapeLine(Buffer.from(text, "latin1")));
  give("\r\nHE");
  give("AD /a HT");
  expect(framing.begun()).toBe("HEAD /a HT");
  give("TP/1.1\r\n");
  give("Host: a.example\r\n\r\n");
  expect(framing.begun()).toBe("HEAD /a HTTP/1.1\r");
  framing.beginBody(0);
  framing.endRequest();
  give("GET /");
  expect(framing.begun()).toBe("GET /");
});

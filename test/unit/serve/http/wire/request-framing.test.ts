// Framing without sockets: the test plays the parser and reports where requests begin and end.
import { describe, expect, test } from "vitest";
import { createRequestFraming } from "../../../../../src/serve/http/wire/request-framing.ts";

const HEAD = "POST / HTTP/1.1\r\nHost: a.example\r\n\r\n";
const NEXT = "GET /\xe9 HTTP/1.1\r\n\r\n";

interface Given {
  readonly head: string;
  readonly declaredBytes: number;
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

const TRICKY = "0\r\n\r\nGET / HTTP/1.1\r\n\r\n\n0\r\n\r\n";

describe.each<[string, Given]>([
  ["of known length", { head: HEAD, declaredBytes: TRICKY.length, body: TRICKY }],
  ["of no bytes", { head: HEAD, declaredBytes: 0, body: "" }],
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

test("take() leaves a chunked body to the parser, whatever it looks like", () => {
  const framing = createRequestFraming();
  framing.take(framing.escapeLine(Buffer.from(HEAD)));
  framing.beginBody(undefined);
  for (const text of ["x\r\n", "\r\n\r\n", TRICKY, NEXT, "\n"]) {
    const bytes = Buffer.from(text, "latin1");
    expect(framing.escapeLine(bytes)).toBe(bytes);
    expect(framing.take(bytes)).toBe(bytes.length);
  }
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

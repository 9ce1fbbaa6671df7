import { expect, test } from "vitest";
import { createRequestHead, type RequestViaHeaders } from "../../../../../src/serve/origin/exchange/request-head.ts";

const OPTIONS = { userAgent: "Huiyuan/1", serverId: "a1", host: undefined, referer: undefined, headers: {} };
const NONE: RequestViaHeaders = { via: undefined, cdnLoop: undefined };

test("createRequestHead() returns its own four headers, Via and CDN-Loop, and nothing else", () => {
  expect(createRequestHead(OPTIONS)(NONE, true)).toEqual(
    [
      ["Accept", "*/*"],
      ["Accept-Encoding", "identity"],
      ["User-Agent", "Huiyuan/1"],
      ["Via", "1.1 huiyuan-a1"],
      ["CDN-Loop", "huiyuan-a1"],
    ].flat(),
  );
});

test("createRequestHead() returns Host, Referer and configured headers only for the home, where they replace its own", () => {
  const head = createRequestHead({
    ...OPTIONS,
    host: "img.example.com",
    referer: "https://example.com/",
    headers: { "user-agent": "Mozilla/5.0", Authorization: "Basic eA==" },
  });
  const home = head(NONE, true).join("|");
  expect(home).toContain("Host|img.example.com|Referer|https://example.com/|Authorization|Basic eA==");
  expect(home).toContain("|user-agent|Mozilla/5.0|");
  expect(head(NONE, false)).toEqual(createRequestHead(OPTIONS)(NONE, false));
});

test("createRequestHead() appends this server to received Via and CDN-Loop", () => {
  const headers = createRequestHead(OPTIONS)({ via: "1.1 edge (x)", cdnLoop: "cdn; abc" }, true);
  expect(headers.slice(-4)).toEqual(["Via", "1.1 edge (x), 1.1 huiyuan-a1", "CDN-Loop", "cdn; abc, huiyuan-a1"]);
});

const LOOPS: readonly RequestViaHeaders[] = [
  { via: "1.1 huiyuan-a1", cdnLoop: undefined },
  { via: "1.0 fred, HTTP/1.1  huiyuan-a1 (nginx)", cdnLoop: undefined },
  { via: undefined, cdnLoop: "huiyuan-a1" },
  { via: undefined, cdnLoop: "cdn; a=1,huiyuan-a1; x" },
  { via: "1.1 x".padEnd(3000, ", 1.1 x"), cdnLoop: undefined },
];

for (const received of LOOPS) {
  test(`createRequestHead() refuses ${JSON.stringify(received).slice(0, 60)} as a loop`, () => {
    expect(() => createRequestHead(OPTIONS)(received, true)).toThrow(expect.objectContaining({ code: "origin_loop" }));
  });
}

test("createRequestHead() accepts another Huiyuan server in the chain, and drops a value that cannot be sent", () => {
  const head = createRequestHead(OPTIONS);
  expect(head({ via: "1.1 huiyuan-a11", cdnLoop: "huiyuan-a" }, true)).toContain("huiyuan-a, huiyuan-a1");
  expect(head({ via: "1.1 \u00e9", cdnLoop: undefined }, true)).toContain("1.1 huiyuan-a1");
});

const BAD_HEADERS = [
  "Host",
  "range",
  "If-None-Match",
  "Accept-Encoding",
  "Connection",
  "Via",
  "Content-Length",
  "a b",
  "",
];

for (const name of BAD_HEADERS) {
  test(`createRequestHead() refuses the configured header ${JSON.stringify(name)}`, () => {
    expect(() => createRequestHead({ ...OPTIONS, headers: { [name]: "x" } })).toThrow(
      expect.objectContaining({ code: "settings_invalid" }),
    );
  });
}

test("createRequestHead() refuses values that would start a new header line", () => {
  for (const change of [{ headers: { X: "a\r\nY: b" } }, { host: "h\r\n" }, { referer: "x\n" }, { serverId: "a b" }]) {
    expect(() => createRequestHead({ ...OPTIONS, ...change })).toThrow(
      expect.objectContaining({ code: "settings_invalid" }),
    );
  }
});

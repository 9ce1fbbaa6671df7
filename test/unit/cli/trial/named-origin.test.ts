import { expect, test } from "vitest";
import { describeTrouble, inspectOrigin } from "../../../../src/cli/find-picture.ts";

test.each([
  "http://127.0.0.1:9000",
  "http://localhost:9000/base",
  "http://[::1]:9000",
  "http://192.168.1.2",
  "http://100.64.0.1",
  "http://[fd00::1]",
])("inspectOrigin(%s) sees that it is private", async (url) => {
  expect(await inspectOrigin(url)).toEqual({ isPrivate: true, trouble: undefined });
});

test("inspectOrigin() finds no trouble with a public address", async () => {
  expect(await inspectOrigin("https://8.8.8.8")).toEqual({ isPrivate: false, trouble: undefined });
});

test("inspectOrigin() reports a metadata service as never allowed, not as private", async () => {
  const { isPrivate, trouble } = await inspectOrigin("http://169.254.169.254");
  expect(isPrivate).toBe(false);
  expect(trouble).toMatch(/never allowed/);
});

const failed = (cause: object) => new TypeError("fetch failed", { cause: Object.assign(new Error("x"), cause) });

test.each<[claim: string, error: unknown, words: RegExp]>([
  ["no such name", failed({ code: "ENOTFOUND" }), /^the name a\.example does not exist$/],
  ["no name server", failed({ code: "EAI_AGAIN" }), /no name server answers/],
  ["a refused connection", failed({ code: "ECONNREFUSED" }), /^a\.example:81 refuses connections/],
  ["a connection that is never made", failed({ code: "UND_ERR_CONNECT_TIMEOUT" }), /did not answer in time/],
  ["a deadline", new DOMException("late", "TimeoutError"), /did not answer in time/],
  ["a reset", failed({ code: "ECONNRESET" }), /closed the connection/],
  ["a certificate", failed({ code: "CERT_HAS_EXPIRED" }), /\(CERT_HAS_EXPIRED\)$/],
  ["anything else", "?", /unknown reason/],
])("describeTrouble() names %s", (_claim, error, words) => {
  expect(describeTrouble(error, "http://a.example:81/base")).toMatch(words);
});

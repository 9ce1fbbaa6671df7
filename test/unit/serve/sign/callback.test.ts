import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import {
  type CallbackNotice,
  callbackBody,
  MAX_CALLBACK_SKEW_SECONDS,
  verifyCallback,
} from "../../../../src/serve/sign/callback.ts";
import { needs } from "../../../helpers/services.ts";

const NOW = 1_450_000_000;
const SECRET = "a secret of the bucket";
const NOTICE: CallbackNotice = {
  appid: "10001234",
  bucket: "photos",
  fileid: "2015/07/17/a b+c&d=e%2F(1)!*'~.jpg",
  magicContext: '{"user":"张三","n":1}',
  sha1: "a94a8fe5ccb19ba61c4c0873d391e987982fbbd3",
  size: 51200,
  url: "http://photos-10001234.image.example.com/2015/07/17/a%20b.jpg",
  userid: "0",
  timestamp: NOW,
  attempt: 1,
};

test("callbackBody() writes the fields in alphabetical order, percent-encoded, and the token last", () => {
  const body = callbackBody(NOTICE, SECRET);
  expect(body.replace(/&token=.*/, "")).toBe(
    "appid=10001234&bucket=photos&fileid=2015%2F07%2F17%2Fa%20b%2Bc%26d%3De%252F%281%29%21%2A%27~.jpg" +
      "&magic_context=%7B%22user%22%3A%22%E5%BC%A0%E4%B8%89%22%2C%22n%22%3A1%7D" +
      "&sha=a94a8fe5ccb19ba61c4c0873d391e987982fbbd3&size=51200&timestamp=1450000000" +
      "&url=http%3A%2F%2Fphotos-10001234.image.example.com%2F2015%2F07%2F17%2Fa%2520b.jpg&userid=0",
  );
  expect(body).toMatch(/&token=[0-9a-f]{40}$/);
});

test("callbackBody() has the field attempt from the second attempt on", () => {
  expect(callbackBody({ ...NOTICE, attempt: 2 }, SECRET)).toMatch(/^appid=10001234&attempt=2&bucket=photos&/);
  expect(callbackBody(NOTICE, SECRET)).not.toContain("attempt");
});

test("the token is the HMAC that OpenSSL computes over the bytes before it", needs("openssl"), () => {
  const body = callbackBody(NOTICE, SECRET);
  const [signed, token] = body.split("&token=");
  const { stdout, status } = spawnSync("openssl", ["dgst", "-sha1", "-hmac", SECRET, "-r"], { input: signed });
  expect(status).toBe(0);
  expect(stdout.toString().slice(0, 40)).toBe(token);
});

test("a standard form decoder parses the body", () => {
  const form = Object.fromEntries(new URLSearchParams(callbackBody(NOTICE, SECRET)));
  expect(form).toMatchObject({ fileid: NOTICE.fileid, magic_context: NOTICE.magicContext, sha: NOTICE.sha1 });
});

test.each([
  NOTICE,
  { ...NOTICE, attempt: 7, magicContext: "" },
  { ...NOTICE, fileid: "&token=0000", magicContext: "x&token=1" },
])("verifyCallback() returns the notice given to callbackBody()", (notice) => {
  const body = callbackBody(notice, SECRET);
  expect(verifyCallback(body, { secret: SECRET, now: NOW })).toEqual({ ok: true, notice });
  expect(verifyCallback(Buffer.from(body), { secret: SECRET, now: NOW })).toEqual({ ok: true, notice });
});

test("callbackBody() sends a lone surrogate as the replacement character", () => {
  const verdict = verifyCallback(callbackBody({ ...NOTICE, magicContext: "\ud800" }, SECRET), {
    secret: SECRET,
    now: NOW,
  });
  expect(verdict).toMatchObject({ ok: true, notice: { magicContext: "\ufffd" } });
});

const GOOD = callbackBody(NOTICE, SECRET);
const resigned = (change: Partial<CallbackNotice>) => callbackBody({ ...NOTICE, ...change }, SECRET);

test.each([
  ["nothing", "", "malformed"],
  ["no token", GOOD.replace(/&token=.*/, ""), "malformed"],
  ["a changed size", GOOD.replace("size=51200", "size=51201"), "mismatch"],
  ["a token in upper case", GOOD.replace(/[0-9a-f]{40}$/, (token) => `A${token.slice(1)}`), "mismatch"],
  ["a short token", GOOD.slice(0, -1), "mismatch"],
  ["text behind the token", `${GOOD}&size=1`, "mismatch"],
  ["a second token", `${GOOD}&token=${"0".repeat(40)}`, "mismatch"],
  ["another secret", callbackBody(NOTICE, "another"), "mismatch"],
  ["bytes beyond ASCII", GOOD.replace("photos", "ph\u00f6tos"), "mismatch"],
  ["no fileid", resigned({ fileid: "" }), "malformed"],
  ["a negative size", resigned({ size: -1 }), "malformed"],
  ["a time 15 minutes and a second ago", resigned({ timestamp: NOW - MAX_CALLBACK_SKEW_SECONDS - 1 }), "stale"],
  ["a time 15 minutes and a second ahead", resigned({ timestamp: NOW + MAX_CALLBACK_SKEW_SECONDS + 1 }), "stale"],
])("verifyCallback() refuses %s", (_, body, refusal) => {
  expect(verifyCallback(body, { secret: SECRET, now: NOW })).toEqual({ ok: false, refusal });
});

test("verifyCallback() accepts a time of exactly 15 minutes ago", () => {
  const body = resigned({ timestamp: NOW - MAX_CALLBACK_SKEW_SECONDS });
  expect(verifyCallback(body, { secret: SECRET, now: NOW }).ok).toBe(true);
});

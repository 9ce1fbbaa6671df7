import { expect, test } from "vitest";
import { type Key, toKey } from "../../../../../src/core/object.ts";
import { type AuthorizerOptions, createAuthorizer } from "../../../../../src/serve/http/request/authorizer.ts";

/** An authorizer at the given time; all its tokens expire at second 100. */
function authorizerAt(now: number) {
  const tokens = { verify: () => ({ kind: "multi-use", expires: 100 }) } as unknown as AuthorizerOptions["tokens"];
  const once = {} as AuthorizerOptions["once"]; // No token is spent here.
  const rules = { acceptV1: false, oneTimeDownloads: "once", mode: "private" } as const;
  return createAuthorizer({ appid: "1", bucket: "b", ...rules, tokens, once, now: () => now });
}

const KEY: Key = toKey("a.jpg");

test.each([
  [90_000, 10],
  [90_001, 9],
  [98_999, 1],
  [99_000, 1],
  [99_001, 0],
  [99_999, 0],
])("admit() at %i ms lets no cache store the response beyond the life of the token", (now, seconds) => {
  expect(authorizerAt(now).admit("token", KEY).scope).toMatchObject({ kind: "signed", expiresInSeconds: seconds });
});

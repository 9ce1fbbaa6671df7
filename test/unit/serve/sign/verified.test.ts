import { describe, expect, test } from "vitest";
import type { KeyLookup, SigningKey } from "../../../../src/serve/sign/token.ts";
import { createVerifiedTokens } from "../../../../src/serve/sign/verified.ts";
import { codeOf, DOWNLOAD, NOW, SECRET_KEYS, sampleToken } from "../../../helpers/tokens.ts";

const KEY: SigningKey = { secretKey: SECRET_KEYS.AKIDONE, enabled: true };

/** Verified tokens over keys that the test may change; `key` is AKIDONE's. */
function setUp(maxTokens?: number) {
  const state: { key: SigningKey | undefined } = { key: KEY };
  const keys: KeyLookup = () => state.key;
  const verified = createVerifiedTokens(maxTokens === undefined ? { keys } : { keys, maxTokens });
  const ask = (text: string, now = NOW, scope = {}) =>
    codeOf(() => verified.verify(text, { ...DOWNLOAD, ...scope }, now));
  /** A cached token is the same object each time. Otherwise it is cached from now on, if it may be. */
  const isCached = (text: string) => {
    const first = verified.authenticate(text);
    return verified.authenticate(text) === first;
  };
  return { state, verified, ask, isCached };
}

describe("VerifiedTokens", () => {
  test("verify() returns the same grant from the cache as at first", () => {
    const { verified, isCached } = setUp();
    const text = sampleToken();
    const first = verified.verify(text, DOWNLOAD, NOW);
    expect(verified.verify(text, DOWNLOAD, NOW)).toEqual(first);
    expect(isCached(text)).toBe(true);
  });

  test("verify() checks expiry and scope on every use", () => {
    const { ask } = setUp();
    const text = sampleToken();
    expect(ask(text)).toBe("nothing");
    expect(ask(text, NOW + 3600)).toBe("sign_expired");
    expect(ask(text, NOW, { fileid: "x" })).toBe("sign_scope");
    expect(ask(text, NOW, { bucket: "videos" })).toBe("sign_scope");
    expect(ask(text, NOW, { appid: "10005678" })).toBe("sign_scope");
    expect(ask(text)).toBe("nothing");
  });

  test("verify() refuses a cached token as soon as its key is disabled, removed or changed", () => {
    const { state, ask } = setUp();
    const text = sampleToken();
    expect(ask(text)).toBe("nothing");
    state.key = { ...KEY, enabled: false };
    expect(ask(text)).toBe("sign_key_unknown");
    state.key = undefined;
    expect(ask(text)).toBe("sign_key_unknown");
    state.key = { ...KEY, secretKey: "another" };
    expect(ask(text)).toBe("sign_mismatch");
    state.key = KEY;
    expect(ask(text)).toBe("nothing");
  });

  test("verify() does not accept the beginning of a cached token's text", () => {
    const { ask } = setUp();
    const text = sampleToken({ fileid: "a/b.jpg12" });
    expect(ask(text, NOW, { fileid: "a/b.jpg12" })).toBe("nothing");
    expect(ask(sampleToken({ fileid: "a/b.jpg12" }).slice(0, -4), NOW)).toBe("sign_mismatch");
  });

  test("refused tokens are not cached", () => {
    const { ask } = setUp();
    for (let attempt = 0; attempt < 2; attempt += 1) {
      expect(ask("////")).toBe("sign_malformed");
      expect(ask(sampleToken({ secretId: "AKIDTWO" }))).toBe("sign_mismatch");
    }
  });

  test("tokens longer than 512 characters are verified but not cached", () => {
    const { ask, isCached } = setUp();
    const fileid = "x".repeat(400);
    expect(sampleToken({ fileid }).length).toBeGreaterThan(512);
    expect(ask(sampleToken({ fileid }), NOW, { fileid })).toBe("nothing");
    expect(isCached(sampleToken({ fileid }))).toBe(false);
  });

  test("at most maxTokens are cached, and the least recently used one is dropped", () => {
    const { verified } = setUp(2);
    const seen = [1, 2, 3].map((random) => verified.authenticate(sampleToken({ random })));
    const again = [3, 2, 1].map((random) => verified.authenticate(sampleToken({ random })));
    expect(again.reverse().map((each, at) => each === seen[at])).toEqual([false, true, true]);
  });
});

import { describe, expect, test } from "vitest";
import {
  authenticateToken,
  type KeyLookup,
  MAX_LIFE_SECONDS,
  parseToken,
  type Scope,
  type TokenFields,
} from "../../../../src/serve/sign/token.ts";
import { codeOf, DOWNLOAD, FIELDS, KEYS, NOW, sampleToken, signBytes, verifyToken } from "../../../helpers/tokens.ts";

const { oneTimeDownloads: _, ...PLACE } = DOWNLOAD;
const UPLOAD: Scope = { ...PLACE, operation: "upload" };
const COPY: Scope = { ...PLACE, operation: "copy" };
const DELETE: Scope = { ...PLACE, operation: "delete" };

/** The kind of the grant, or the error code. */
function verdict(changes: Partial<TokenFields>, scope: Scope, now = NOW): string {
  let kind = "";
  const code = codeOf(() => {
    const grant = verifyToken(sampleToken(changes), KEYS, scope, now);
    kind = grant.kind === "one-time" ? `one-time, ${grant.spend}` : grant.kind;
  });
  return kind === "" ? code : kind;
}

describe("authenticateToken()", () => {
  test.each([
    ["the first pair", sampleToken(), "nothing"],
    ["the second pair", sampleToken({ secretId: "AKIDTWO" }), "nothing"],
    ["a disabled pair", sampleToken({ secretId: "AKIDOFF" }), "sign_key_unknown"],
    ["an unknown SecretID", sampleToken({ secretId: "AKIDNONE" }), "sign_key_unknown"],
    ["a SecretID of another project", sampleToken({ appid: "10009999" }), "sign_key_unknown"],
    ["a good SecretID, signed by the other pair", mixedPairs(), "sign_mismatch"],
    ["a disabled pair and a wrong MAC", tampered(sampleToken({ secretId: "AKIDOFF" }), 0), "sign_key_unknown"],
    ["a wrong first byte of the MAC", tampered(sampleToken(), 0), "sign_mismatch"],
    ["a wrong last byte of the MAC", tampered(sampleToken(), 19), "sign_mismatch"],
    ["a wrong last byte of the fileid", tampered(sampleToken(), -1), "sign_mismatch"],
    ["Base64 of nothing", "", "sign_malformed"],
  ])("%s", (_what, text, code) => {
    expect(codeOf(() => authenticateToken(text, KEYS))).toBe(code);
  });

  test("checks the MAC over the received bytes, in any order of the fields", () => {
    const text = signBytes("k=AKIDONE&b=photos&a=10001234&u=0&r=007&t=1450000000&e=1450003600&f=a/b.jpg");
    expect(authenticateToken(text, KEYS).fields).toEqual(FIELDS);
  });

  test("does not look up a key before it has parsed the text", () => {
    let lookups = 0;
    const counting: KeyLookup = () => {
      lookups += 1;
      return undefined;
    };
    expect(codeOf(() => authenticateToken("////", counting))).toBe("sign_malformed");
    expect(lookups).toBe(0);
  });
});

describe("authorize() in every operation", () => {
  const rows: [string, Partial<TokenFields>, string][] = [
    ["another appid that shares the key", { appid: "10005678" }, "sign_scope"],
    ["another bucket", { bucket: "videos" }, "sign_scope"],
    ["an empty bucket", { bucket: "" }, "sign_scope"],
    ["another userid", { userid: "1" }, "sign_scope"],
    ["another fileid", { fileid: "a/c.jpg" }, "sign_scope"],
    ["a fileid that differs in case", { fileid: "a/B.jpg" }, "sign_scope"],
  ];
  const sharing: KeyLookup = (secretId) => KEYS(secretId, "10001234");
  const cases = [DOWNLOAD, UPLOAD, COPY, DELETE].flatMap((scope) =>
    rows.map((row) => [scope.operation, ...row] as const),
  );
  test.each(cases)("%s refuses %s", (operation, _what, changes, code) => {
    const scope = [DOWNLOAD, UPLOAD, COPY, DELETE].find((one) => one.operation === operation) ?? DOWNLOAD;
    const expires = operation === "copy" || operation === "delete" ? 0 : FIELDS.expires;
    expect(codeOf(() => verifyToken(sampleToken({ ...changes, expires }), sharing, scope, NOW))).toBe(code);
    expect(codeOf(() => verifyToken(sampleToken({ expires }), sharing, scope, NOW))).toBe("nothing");
  });

  test("an empty userid is 0 on both sides", () => {
    expect(verdict({ userid: "" }, DOWNLOAD)).toBe("multi-use");
    expect(verdict({ userid: "0" }, { ...DOWNLOAD, userid: "" })).toBe("multi-use");
    expect(verdict({ userid: "12" }, { ...DOWNLOAD, userid: "12" })).toBe("multi-use");
    expect(verdict({ userid: "" }, { ...DOWNLOAD, userid: "12" })).toBe("sign_scope");
  });

  test("the V1 shape is good for any bucket while it is accepted", () => {
    expect(verdict({ bucket: undefined, userid: "" }, DOWNLOAD)).toBe("multi-use");
    expect(verdict({ bucket: undefined }, { ...DOWNLOAD, bucket: "videos" })).toBe("multi-use");
    expect(verdict({ bucket: undefined }, { ...DOWNLOAD, acceptV1: false })).toBe("sign_v1_refused");
    expect(verdict({}, { ...DOWNLOAD, acceptV1: false })).toBe("multi-use");
  });
});

describe("authorize() of multi-use tokens", () => {
  const over = NOW + MAX_LIFE_SECONDS + 1;
  test.each<[string, Partial<TokenFields>, string]>([
    ["bound", {}, "multi-use"],
    ["unbound", { fileid: "" }, "multi-use"],
    ["one second to live", { expires: NOW + 1 }, "multi-use"],
    ["ending this very second", { expires: NOW }, "sign_expired"],
    ["expired and for another file: expiry comes first", { expires: NOW, fileid: "x" }, "sign_expired"],
    ["as old as allowed", { expires: NOW + MAX_LIFE_SECONDS }, "multi-use"],
    ["a second too long", { expires: over }, "sign_lifetime"],
    ["for another file and too long: the file comes first", { expires: over, fileid: "x" }, "sign_scope"],
    ["issued later than now", { issuedAt: NOW + 60 }, "multi-use"],
    ["issued later, to end too late from now", { issuedAt: NOW + 60, expires: over }, "sign_lifetime"],
    ["issued when it ends", { issuedAt: FIELDS.expires }, "sign_lifetime"],
    ["issued after it ends", { issuedAt: FIELDS.expires + 1 }, "sign_lifetime"],
    ["issued long ago", { issuedAt: NOW + 1 - MAX_LIFE_SECONDS, expires: NOW + 1 }, "multi-use"],
    ["issued too long ago", { issuedAt: NOW - MAX_LIFE_SECONDS, expires: NOW + 1 }, "sign_lifetime"],
  ])("%s", (_what, changes, result) => {
    expect([verdict(changes, DOWNLOAD), verdict(changes, UPLOAD)]).toEqual([result, result]);
  });

  test("copy and delete refuse them before any other check", () => {
    for (const scope of [COPY, DELETE]) {
      expect(verdict({}, scope)).toBe("sign_not_one_time");
      expect(verdict({ fileid: "", expires: 1 }, scope)).toBe("sign_not_one_time");
    }
  });

  test("an upload without a name accepts unbound tokens only", () => {
    const nameless: Scope = { ...PLACE, operation: "upload", fileid: undefined };
    expect([verdict({ fileid: "" }, nameless), verdict({}, nameless)]).toEqual(["multi-use", "sign_scope"]);
  });

  test("the grant has the expiry time", () => {
    expect(verifyToken(sampleToken(), KEYS, DOWNLOAD, NOW)).toEqual({ kind: "multi-use", expires: NOW + 3600 });
  });
});

describe("authorize() of one-time tokens", () => {
  const ONCE: Scope = { ...DOWNLOAD, oneTimeDownloads: "once" };
  const REFUSE: Scope = { ...DOWNLOAD, oneTimeDownloads: "refuse" };
  const old = { issuedAt: NOW - MAX_LIFE_SECONDS };
  const older = { issuedAt: NOW - MAX_LIFE_SECONDS - 1 };
  test.each<[string, Scope, Partial<TokenFields>, string]>([
    ["copy", COPY, {}, "one-time, once"],
    ["delete", DELETE, {}, "one-time, once"],
    ["download, reuse", DOWNLOAD, {}, "one-time, reuse"],
    ["download, once", ONCE, {}, "one-time, once"],
    ["download, refuse", REFUSE, {}, "sign_one_time_refused"],
    ["upload", UPLOAD, {}, "sign_one_time_refused"],
    ["upload, unbound", UPLOAD, { fileid: "" }, "sign_one_time_refused"],
    ["copy, unbound", COPY, { fileid: "" }, "sign_one_time_unbound"],
    ["delete, unbound", DELETE, { fileid: "" }, "sign_one_time_unbound"],
    ["download, reuse, unbound", DOWNLOAD, { fileid: "" }, "sign_one_time_unbound"],
    ["download, once, unbound", ONCE, { fileid: "" }, "sign_one_time_unbound"],
    ["copy, another file", COPY, { fileid: "x" }, "sign_scope"],
    ["download, another file", DOWNLOAD, { fileid: "x" }, "sign_scope"],
    ["copy, 92 days old", COPY, old, "one-time, once"],
    ["copy, a second older", COPY, older, "sign_spent"],
    ["download, reuse, a second older", DOWNLOAD, older, "sign_spent"],
    ["download, once, a second older", ONCE, older, "sign_spent"],
    ["copy, issued later than now", COPY, { issuedAt: NOW + 60 }, "one-time, once"],
  ])("%s", (_what, scope, changes, result) => {
    expect(verdict({ expires: 0, ...changes }, scope)).toBe(result);
  });

  test("the grant names the token by SecretID and MAC, the same for every spelling", () => {
    const text = sampleToken({ expires: 0, userid: "" });
    const token = { secretId: "AKIDONE", mac: Uint8Array.from(parseToken(text).mac), issuedAt: NOW };
    expect(text.endsWith("=")).toBe(true);
    for (const spelling of [text, text.replace(/=+$/, "")]) {
      expect(verifyToken(spelling, KEYS, DELETE, NOW)).toEqual({ kind: "one-time", spend: "once", token });
    }
  });
});

/** The token with one bit of one byte flipped; negative positions count from the end. */
function tampered(text: string, position: number): string {
  const bytes = Buffer.from(text, "base64");
  const index = position < 0 ? bytes.length + position : position;
  bytes[index] = (bytes[index] ?? 0) ^ 1;
  return bytes.toString("base64");
}

function mixedPairs(): string {
  return signBytes("a=10001234&b=photos&k=AKIDTWO&e=1450003600&t=1450000000&r=7&u=0&f=a/b.jpg");
}

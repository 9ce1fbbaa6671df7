import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { makeToken, parseToken, type TokenFields, tokenFromQuery } from "../../../../src/serve/sign/token.ts";
import { codeOf, FIELDS, sampleToken, signBytes } from "../../../helpers/tokens.ts";

interface Vector {
  readonly id: string;
  readonly case: string;
  readonly appid: string;
  readonly bucket: string;
  readonly secretId: string;
  readonly secretKey: string;
  readonly e: number;
  readonly t: number;
  readonly r: number;
  readonly u: string;
  readonly f: string;
  readonly plaintext: string;
  readonly macHex: string;
  readonly sign: string;
  readonly signUrlEncoded: string;
}

const fixture = readFileSync(new URL("../../../fixtures/sign.json", import.meta.url), "utf8");
const VECTORS = (JSON.parse(fixture) as { readonly vectors: readonly Vector[] }).vectors;

function fieldsOf(vector: Vector): TokenFields {
  const { appid, bucket, secretId, e, t, r, u, f } = vector;
  return { appid, bucket, secretId, expires: e, issuedAt: t, random: r, userid: u, fileid: f };
}

describe.each(VECTORS)("known answer $id ($case)", (vector) => {
  test("makeToken() returns the published token", () => {
    expect(makeToken(fieldsOf(vector), vector.secretKey)).toBe(vector.sign);
  });

  test("parseToken() returns fields, MAC and the signed bytes", () => {
    const { fields, mac, plaintext } = parseToken(vector.sign);
    expect(fields).toEqual(fieldsOf(vector));
    expect(Buffer.from(mac).toString("hex")).toBe(vector.macHex);
    expect(Buffer.from(plaintext).toString("utf8")).toBe(vector.plaintext);
  });

  test.each([
    ["encoded", vector.signUrlEncoded],
    ["not encoded", vector.sign],
    ["with + turned into a space", vector.sign.replaceAll("+", "%20")],
  ])("tokenFromQuery() finds it %s", (_how, text) => {
    expect(tokenFromQuery(`sign=${text}`)).toEqual({ sign: vector.sign, rest: "" });
  });
});

describe("makeToken()", () => {
  test("omits b without a bucket (V1 shape)", () => {
    const token = Buffer.from(sampleToken({ bucket: undefined }), "base64")
      .subarray(20)
      .toString();
    expect(token).toBe("a=10001234&k=AKIDONE&e=1450003600&t=1450000000&r=7&u=0&f=a/b.jpg");
  });

  test.each<[string, Partial<TokenFields>]>([
    ["an & in a value before the fileid", { bucket: "photos&u=1" }],
    ["an & f= in a value before the fileid", { userid: "0&f=x" }],
    ["a fraction of a second", { expires: 1.5 }],
    ["a negative time", { issuedAt: -1 }],
    ["NaN", { expires: Number.NaN }],
    ["a random number of 11 digits", { random: 10_000_000_000 }],
    ["a lone surrogate", { fileid: "\ud800" }],
    ["a fileid that makes it longer than 4096 characters", { fileid: "x".repeat(3000) }],
  ])("refuses %s", (_what, changes) => {
    expect(codeOf(() => makeToken({ ...FIELDS, ...changes }, "secret"))).toBe("sign_malformed");
  });
});

describe("parseToken()", () => {
  const HEAD = "a=1&b=p&k=K&e=2&t=1&r=0&u=0";

  test.each([
    ["a plain name", "a.jpg"],
    ["nothing", ""],
    ["another &f=", "x&f=y&f="],
    ["text that looks like fields", "x&e=0&k=OTHER"],
    ["reserved characters of a URL", "a+b%2Fc d?e=f#g"],
    ["a byte order mark", "\ufeffa.jpg"],
    ["Chinese and emoji", "图片/😀.jpg"],
  ])("reads everything after the first &f= as the fileid: %s", (_what, fileid) => {
    const { fields } = parseToken(signBytes(`${HEAD}&f=${fileid}`));
    expect([fields.fileid, fields.expires, fields.secretId]).toEqual([fileid, 2, "K"]);
  });

  test("accepts missing padding", () => {
    const padded = signBytes(`${HEAD}&f=ab`);
    expect(padded.endsWith("==")).toBe(true);
    for (const text of [padded.slice(0, -1), padded.slice(0, -2)]) {
      expect(parseToken(text).fields).toEqual(parseToken(padded).fields);
    }
  });

  test("reads integers with leading zeros and r up to 10 digits", () => {
    const { fields } = parseToken(signBytes("a=1&k=K&e=00&t=01&r=4294967295&u=&f="));
    expect([fields.bucket, fields.expires, fields.issuedAt, fields.random]).toEqual([undefined, 0, 1, 4294967295]);
  });

  const good = signBytes(`${HEAD}&f=>>>???`);
  test.each([
    ["nothing", ""],
    ["one character", "A"],
    ["20 bytes, all MAC", Buffer.alloc(20).toString("base64")],
    ["21 bytes without fields", Buffer.alloc(21).toString("base64")],
    ["more than 4096 characters", "A".repeat(4100)],
    ["10 MB", "A".repeat(10_000_000)],
    ["a truncated token", good.slice(0, good.length - 13)],
    ["the URL-safe alphabet", good.replaceAll("+", "-").replaceAll("/", "_")],
    ["a line break", `${good.slice(0, 20)}\n${good.slice(20)}`],
    ["a space before it", ` ${good}`],
    ["too much padding", `${good}=`],
    ["padding in the middle", `${good.slice(0, 8)}=${good.slice(8)}`],
    ["a stray %", `${good}%`],
    ["a NUL", `${good}\0`],
    ["bits left over after the last byte", `${Buffer.alloc(25).toString("base64").slice(0, -3)}B==`],
    ["bytes that are not UTF-8", signBytes(Buffer.from([...Buffer.from(`${HEAD}&f=`), 0xc3, 0x28]))],
    ...["a", "k", "e", "t", "r", "u"].map((name) => {
      const without = HEAD.split("&").filter((part) => !part.startsWith(`${name}=`));
      return [`no ${name}`, signBytes(`${without.join("&")}&f=x`)];
    }),
    ["no f", signBytes(HEAD)],
    ["e twice", signBytes(`${HEAD}&e=9&f=x`)],
    ["an unknown field", signBytes(`${HEAD}&x=1&f=x`)],
    ["a byte order mark before the fields", signBytes(`\ufeff${HEAD}&f=x`)],
    ["an empty part", signBytes(`${HEAD}&&f=x`)],
    ...["", "-1", "1.0", "1e3", "0x10", " 1", "१", "9".repeat(16)].map((e) => [
      `e=${e}`,
      signBytes(`a=1&k=K&e=${e}&t=1&r=1&u=0&f=`),
    ]),
    ["r of 11 digits", signBytes("a=1&k=K&e=2&t=1&r=10000000000&u=0&f=")],
  ])("refuses %s", (_what, text) => {
    expect(codeOf(() => parseToken(text as string))).toBe("sign_malformed");
  });

  test("the token of the refusal cases is valid itself, and has both + and /", () => {
    expect(good).toMatch(/\+.*\/|\/.*\+/);
    expect(parseToken(good).fields.fileid).toBe(">>>???");
  });
});

describe("tokenFromQuery()", () => {
  test.each<[query: string, sign: string | undefined, rest: string]>([
    ["", undefined, ""],
    ["sign=", undefined, ""],
    ["sign", undefined, "sign"],
    ["Sign=a&xsign=b", undefined, "Sign=a&xsign=b"],
    ["sign=abc=", "abc=", ""],
    ["sign=abc%3D", "abc=", ""],
    ["imageView2/2/w/200&sign=abc", "abc", "imageView2/2/w/200"],
    ["sign=abc&imageView2/2/w/200", "abc", "imageView2/2/w/200"],
    ["x=%20+&&sign=abc&y=%zz&", "abc", "x=%20+&&y=%zz&"],
    ["sign=a+b%2Bc%20d e", "a+b+c+d+e", ""],
    ["sign=a&x&sign=a", "a", "x"],
    ["sign=a%2B&sign=a+", "a+", ""],
  ])("splits %j", (query, sign, rest) => {
    expect(tokenFromQuery(query)).toEqual({ sign, rest });
  });

  const [one, other] = [sampleToken(), sampleToken({ random: 8 })];
  test.each([
    ["two different tokens", `sign=${one}&sign=${other}`],
    ["two different ones, then the first again", `sign=${one}&sign=${other}&sign=${one}`],
    ["a token and an empty one", `sign=${one}&sign=`],
    ["an invalid escape", `sign=${one}%zz`],
    ["a truncated escape", `sign=${one}%2`],
    ["an escape that is not UTF-8", `sign=${one}%ff`],
    ["a token escaped twice", `sign=${encodeURIComponent(encodeURIComponent(one))}`],
    ["a line break", `sign=${one}%0A`],
  ])("returns a sign that parseToken() refuses, and does not throw, for %s", (_what, query) => {
    const { sign, rest } = tokenFromQuery(query);
    expect(rest).toBe("");
    expect(codeOf(() => parseToken(sign ?? one))).toBe("sign_malformed");
  });
});

import fc from "fast-check";
import { expect, test } from "vitest";
import { HuiyuanError } from "../../../../src/core/errors.ts";
import { authenticateToken, parseToken, tokenFromQuery } from "../../../../src/serve/sign/token.ts";
import { anyText } from "../../../helpers/texts.ts";
import { DOWNLOAD, FIELDS, KEYS, NOW, sampleToken, signBytes, verifyToken } from "../../../helpers/tokens.ts";

const RUNS = { numRuns: 300 };

/** Names that people and attackers choose: any well-formed Unicode, and strings that matter to a parser. */
const fileid = fc
  .array(
    fc.oneof(
      fc.string({ unit: "grapheme", maxLength: 12 }),
      fc.constantFrom("&f=", "&", "=", "+", "%", "%2B", " ", "/", "//", "?", "#", "图片", "😀", "\ufeff", "&k=AKIDTWO"),
    ),
    { minLength: 1, maxLength: 12 },
  )
  .map((parts) => parts.join(""))
  .filter((text) => text !== "" && text.isWellFormed());

/** The spellings of a token in a query that clients and proxies produce. */
const SPELLINGS: readonly ((token: string) => string)[] = [
  encodeURIComponent,
  (token) => token,
  (token) => token.replaceAll("+", "%20"),
  (token) => token.replaceAll("+", " "),
  (token) => encodeURIComponent(token).replaceAll("%2B", "+"),
  (token) => new URLSearchParams({ sign: token }).toString().slice("sign=".length),
  (token) => encodeURIComponent(token.replace(/=+$/, "")),
];

test("a token survives every spelling in a query, for any fileid, and the other parameters stay", () => {
  const spelling = fc.constantFrom(...SPELLINGS);
  const other = fc.constantFrom("", "imageView2/2/w/200", "a=%zz&&b=+ ");
  fc.assert(
    fc.property(fileid, spelling, other, fc.boolean(), (name, spell, instruction, isFirst) => {
      const token = sampleToken({ fileid: name });
      const part = `sign=${spell(token)}`;
      const parts = isFirst ? [part, instruction] : [instruction, part];
      const { sign, rest } = tokenFromQuery(parts.filter((text) => text !== "").join("&"));
      expect(rest).toBe(instruction);
      expect(parseToken(sign ?? "").fields).toEqual({ ...FIELDS, fileid: name });
      expect(verifyToken(sign ?? "", KEYS, { ...DOWNLOAD, fileid: name }, NOW).kind).toBe("multi-use");
    }),
    RUNS,
  );
});

test("a token with any single byte changed is refused", () => {
  fc.assert(
    fc.property(fileid, fc.nat(), fc.integer({ min: 1, max: 255 }), (name, place, change) => {
      const bytes = Buffer.from(sampleToken({ fileid: name }), "base64");
      const index = place % bytes.length;
      bytes[index] = (bytes[index] ?? 0) ^ change;
      expect(() => authenticateToken(bytes.toString("base64"), KEYS)).toThrow(HuiyuanError);
    }),
    RUNS,
  );
});

test("a token that is shortened or extended is refused", () => {
  fc.assert(
    fc.property(fileid, fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 8 }), (name, place, more) => {
      const bytes = Buffer.from(sampleToken({ fileid: name }), "base64");
      const cut = bytes.subarray(0, place % bytes.length);
      for (const changed of [cut, Buffer.concat([bytes, more])]) {
        expect(() => authenticateToken(changed.toString("base64"), KEYS)).toThrow(HuiyuanError);
      }
    }),
    RUNS,
  );
});

test("any text gives a grant or a HuiyuanError", () => {
  const text = fc.oneof(
    anyText(),
    fc.base64String(),
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes).toString("base64")),
    fc.uint8Array({ maxLength: 200 }).map(signBytes),
    anyText().map((tail) => signBytes(`a=10001234&k=AKIDONE&e=0&t=1&r=1&u=&f=${tail}`)),
  );
  const isNamed = (action: () => unknown) => {
    try {
      action();
    } catch (error) {
      expect(error).toBeInstanceOf(HuiyuanError);
    }
  };
  fc.assert(
    fc.property(text, (input) => {
      isNamed(() => verifyToken(input, KEYS, DOWNLOAD, NOW));
      const { sign } = tokenFromQuery(`x&sign=${input}`);
      if (sign !== undefined) isNamed(() => verifyToken(sign, KEYS, DOWNLOAD, NOW));
    }),
    { numRuns: 1000 },
  );
});

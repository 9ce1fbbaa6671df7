import fc from "fast-check";
import { expect, test } from "vitest";
import { errorRow, HuiyuanError } from "../../../../../src/core/errors.ts";
import { isKey, type Key, toKey } from "../../../../../src/core/object.ts";
import { encodeKeyForPath, hostOf, parseTarget } from "../../../../../src/serve/http/request/target.ts";
import { normalizeHost } from "../../../../../src/settings/hosts.ts";
import { anyText } from "../../../../helpers/texts.ts";

const RUNS = { numRuns: 1_000 };
const HOSTS = ["img.example"];

/** Keys as people and attackers choose them. */
const key = fc
  .array(
    fc.oneof(
      fc.string({ unit: "grapheme", maxLength: 20 }),
      fc.constantFrom(
        "/",
        "//",
        "%",
        "%2F",
        "%252e",
        "+",
        "?",
        "#",
        "&",
        "..",
        ".",
        "\\",
        "é",
        "e\u0301",
        "😀",
        "\u0001",
      ),
    ),
    { minLength: 1, maxLength: 12 },
  )
  .map((parts) => parts.join(""))
  .filter(isKey);

/** One of the spellings of a byte: raw if that is allowed, else escaped in upper or lower case. */
const spellings = fc.infiniteStream(fc.constantFrom("raw", "upper", "lower"));

function spell(name: Key, choices: Iterable<string>): string {
  const choice = choices[Symbol.iterator]();
  const bytes = [...Buffer.from(name)];
  return bytes
    .map((byte) => {
      const wanted = choice.next().value;
      const mayBeRaw = byte > 0x20 && byte !== 0x7f && !"%?#".includes(String.fromCharCode(byte));
      if (wanted === "raw" && mayBeRaw) return String.fromCharCode(byte);
      const hex = byte.toString(16).padStart(2, "0");
      return `%${wanted === "lower" ? hex : hex.toUpperCase()}`;
    })
    .join("");
}

test("a key survives encoding and decoding", () => {
  fc.assert(
    fc.property(key, (name) => {
      expect(parseTarget(`/${encodeKeyForPath(name)}`, HOSTS)).toEqual({
        host: "img.example",
        key: name,
        rawQuery: "",
      });
    }),
    RUNS,
  );
});

test("every spelling of a key's bytes is that key, and its query stays as it is", () => {
  fc.assert(
    fc.property(key, spellings, fc.constantFrom("", "?", "?a=%zz&b=+"), (name, choices, query) => {
      const target = parseTarget(`/${spell(name, choices)}${query}`, HOSTS);
      expect(target.key).toBe(name);
      expect(target.rawQuery).toBe(query.slice(1));
    }),
    RUNS,
  );
});

test("two keys never share a path", () => {
  fc.assert(
    fc.property(key, key, (one, other) => {
      expect(encodeKeyForPath(one) === encodeKeyForPath(other)).toBe(one === other);
    }),
    RUNS,
  );
});

test("any input yields a valid key or a 4xx", () => {
  const piece = fc.constantFrom(
    "/",
    "//",
    "%",
    "%2e",
    "..",
    "%00",
    "%ff",
    "http://",
    "img.example",
    "@",
    ":",
    "?",
    "a",
  );
  const text = fc.oneof(
    anyText(),
    fc.array(piece, { maxLength: 12 }).map((parts) => parts.join("")),
  );
  const hosts = fc.array(fc.oneof(text, fc.constant("img.example")), { maxLength: 2 });
  fc.assert(
    fc.property(text, hosts, (target, values) => {
      try {
        const { key: name, host } = parseTarget(target, values);
        expect(toKey(name)).toBe(name);
        expect(host).toBe(hostOf(host));
      } catch (error) {
        if (!(error instanceof HuiyuanError)) throw error;
        expect(Math.floor(errorRow(error.code).status / 100)).toBe(4);
      }
    }),
    { numRuns: 3_000 },
  );
});

test("a host that the settings accept is found under their spelling of it", () => {
  const label = fc.stringMatching(/^[a-zA-Z0-9_-]{1,10}$/);
  const name = fc.oneof(
    fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join(".")),
    fc.ipV6().map((address) => `[${address}]`),
    fc.ipV4(),
  );
  fc.assert(
    fc.property(name, fc.constantFrom("", ":80", ":8443"), (host, port) => {
      const kept = normalizeHost(`${host}${port}`);
      fc.pre(kept !== undefined);
      expect(hostOf(`${host}${port}`)).toBe(kept);
    }),
    RUNS,
  );
});

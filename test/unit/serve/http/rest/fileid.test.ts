// Fileids in paths: the spelling of every client means the name that it signed, and no spelling means two names.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HuiyuanError } from "../../../../../src/core/errors.ts";
import { isKey } from "../../../../../src/core/object.ts";
import { readFileid, statFileids } from "../../../../../src/serve/http/rest/fileid.ts";
import { parseApiPath, readApiRequest, splitOperation } from "../../../../../src/serve/http/rest/target.ts";

const fileid = fc
  .string({
    minLength: 1,
    maxLength: 40,
    unit: fc.oneof(fc.string({ minLength: 1, maxLength: 1 }), fc.constantFrom(..."/+% ?&=#~照é")),
  })
  .filter((text) => isKey(text) && Buffer.byteLength(text) <= 128);

const asForm = (text: string) => encodeURIComponent(text).replaceAll("%20", "+");

describe("readFileid()", () => {
  test("reads form encoding and percent-encoding", () => {
    fc.assert(
      fc.property(fileid, (name) => {
        expect(readFileid(asForm(name), undefined)).toBe(name);
        expect(readFileid(encodeURIComponent(name), undefined)).toBe(name);
        expect(readFileid(asForm(name), name)).toBe(name);
      }),
    );
  });

  test("prefers the reading that the signature is bound to, and ignores any other name", () => {
    fc.assert(
      fc.property(fileid, (name) => {
        const raw = Buffer.from(name).toString("latin1");
        expect(readFileid(raw, name)).toBe(name);
      }),
    );
    expect(readFileid("a+b", "a+b")).toBe("a+b");
    expect(readFileid("a+b", "a b")).toBe("a b");
    expect(readFileid("a+b", "another")).toBe("a b");
    expect(readFileid("50%25", "50%25")).toBe("50%25");
    expect(readFileid("50%25", "50%")).toBe("50%");
    expect(readFileid("50%", "50%")).toBe("50%");
  });

  test.each(["", "%", "%zz", "%ff", "a%00", "..", "a/../b", "a%2F%2E%2E", "a".repeat(129), "%E7%85%A7".repeat(43)])(
    "refuses %j",
    (raw) => {
      expect(() => readFileid(raw, "other")).toThrow(expect.objectContaining({ code: "rest_path_invalid" }));
    },
  );
});

test("statFileids() lists the likeliest first, and names without the final slash last", () => {
  expect(statFileids("a+b%2B/", undefined)).toEqual(["a b+/", "a+b+/", "a b+", "a+b+"]);
  expect(statFileids("a+b", "a+b")).toEqual(["a+b", "a b"]);
  expect(statFileids("50%", "50%")).toEqual(["50%"]);
  expect(() => statFileids("50%", undefined)).toThrow(HuiyuanError);
});

describe("paths", () => {
  test.each([
    ["/photos/v2/1/b/0", { version: 2, appid: "1", bucket: "b", userid: "0", rest: "", rawQuery: "" }],
    ["/photos/v2/1/b/0/", { version: 2, appid: "1", bucket: "b", userid: "0", rest: "", rawQuery: "" }],
    [
      "/photos/v2/1/b/0//a//?x=1?",
      { version: 2, appid: "1", bucket: "b", userid: "0", rest: "/a//", rawQuery: "x=1?" },
    ],
    ["/photos/v1/1/7/a/copy", { version: 1, appid: "1", bucket: undefined, userid: "7", rest: "a/copy", rawQuery: "" }],
  ])("parseApiPath(%j)", (path, wanted) => {
    expect(parseApiPath(path)).toEqual(wanted);
  });

  test.each(["/photos/v2", "/photos/v2/", "/photos/v2/1", "/photos/v2/1/b", "/photos/v2/x/b/0", "/photos/v2/1//0"])(
    "parseApiPath(%j) throws rest_path_invalid",
    (path) => {
      expect(() => parseApiPath(path)).toThrow(expect.objectContaining({ code: "rest_path_invalid" }));
    },
  );

  test.each([
    ["a/copy", { operation: "copy", source: "a" }],
    ["a/del", { operation: "delete", source: "a" }],
    ["a/copy/del", { operation: "delete", source: "a/copy" }],
    ["copy", undefined],
    ["a%2Fcopy", undefined],
    ["a/copy/", undefined],
  ])("splitOperation(%j)", (rest, wanted) => {
    expect(splitOperation(rest)).toEqual(wanted);
  });

  test.each([
    ["/photos/v2/1", ["any.example"], { host: "any.example", path: "/photos/v2/1" }],
    ["/photos/v2/1", ["served.example:80"], undefined],
    ["http://served.example/photos/v2/1", ["any.example"], undefined],
    ["http://any.example:81/photos/v1/1?x", ["served.example"], { host: "any.example:81", path: "/photos/v1/1?x" }],
    ["/photos/v3/1", ["any.example"], undefined],
    ["/photos/v22/1", ["any.example"], undefined],
    ["/x/photos/v2/1", ["any.example"], undefined],
    ["*", ["any.example"], undefined],
  ])("readApiRequest(%j, %j)", (target, hosts, wanted) => {
    const rawHeaders = hosts.flatMap((host) => ["Host", host]);
    expect(readApiRequest({ url: target, rawHeaders }, (host) => host === "served.example")).toEqual(wanted);
  });
});

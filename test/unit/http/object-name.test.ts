import { expect, test } from "vitest";
import { HuiyuanError } from "../../../src/errors.ts";
import { nameObject, type ObjectUrl } from "../../../src/http/object-name.ts";
import type { MirrorSource, Route, Site } from "../../../src/http/site.ts";
import { admitNamed } from "../../../src/http/token-scope.ts";
import { type Key, toKey } from "../../../src/object.ts";

const route = (type: Route["type"], keyQuery: Route["keyQuery"]) =>
  ({ match: {}, type, keyQuery, denyQuery: [], setQuery: {}, passQuery: false, path: {} }) as unknown as Route;

/** A site whose only rule keys so. */
function siteWith(type: Route["type"], keyQuery: Route["keyQuery"], keepsQuery = true): Site {
  const source: MirrorSource = { keepsQuery, ages: false, route: () => route(type, keyQuery) };
  return { source } as unknown as Site;
}

const url = (path: string, query = ""): ObjectUrl => ({ host: "h", path: toKey(path), query, method: "GET" });

test.each([
  ["originals", "drop", false, "a?b", "x=1", "a?b", undefined],
  ["originals", "drop", true, "a", "x=1", "a", undefined],
  ["originals", "keep", true, "a", "x=1&imageView2/1", "a?x=1", "imageView2/1"],
  ["originals", "drop", false, "a", "image%56iew2/1", "a", "image%56iew2/1"],
  ["everything", "drop", true, "a", "x=1&imageView2/1", "a?x=1&imageView2/1", undefined],
] as const)("nameObject() under %s, %s (%s): %s?%s is %s", (type, keyQuery, keeps, path, query, key, instruction) => {
  const named = nameObject(siteWith(type, keyQuery, keeps), url(path, query));
  expect([named.key, named.request.instruction]).toEqual([key, instruction]);
});

const scope = (fileid: string) => (_: string | undefined, key: Key) => {
  if (key !== fileid) throw new HuiyuanError("sign_scope", "bound to another");
  return { scope: { kind: "none" }, spend: undefined } as const;
};

test("admitNamed() takes a token that is bound to the path or to the whole key, and no other", () => {
  const object = nameObject(siteWith("everything", "drop"), url("a", "x=1"));
  expect(admitNamed(scope("a"), "s", { object }).admission.scope.kind).toBe("none");
  expect(admitNamed(scope("a?x=1"), "s", { object }).admission.scope.kind).toBe("none");
  expect(() => admitNamed(scope("b"), "s", { object })).toThrow(expect.objectContaining({ code: "sign_scope" }));
});

test("admitNamed() does not try a faulty token twice", () => {
  let tried = 0;
  const object = nameObject(siteWith("everything", "drop"), url("a", "x=1"));
  const expired = () => {
    tried += 1;
    throw new HuiyuanError("sign_expired", "late");
  };
  expect(() => admitNamed(expired, "s", { object })).toThrow(expect.objectContaining({ code: "sign_expired" }));
  expect(tried).toBe(1);
});

import { expect, test } from "vitest";
import { toKey } from "../../../../../src/core/object.ts";
import { encodeKey, type Hop, homeHop, nextHop, parseHome } from "../../../../../src/serve/origin/exchange/hop.ts";

/** The first hop of a fetch of `key` from the site at `url`. */
function hopOf(url: string, key: string): Hop {
  const home = parseHome(url);
  return homeHop(home, `${home.basePath}/${encodeKey(toKey(key))}`);
}

function follow(base: string, location: string | undefined, isPrivate = false): Hop {
  const hop = hopOf(base, "dir/a.jpg");
  return nextHop([hop], location, isPrivate);
}

const FOLLOWED = [
  ["http://h", "/b.jpg", "http://h/b.jpg", true],
  ["http://h", "b.jpg", "http://h/dir/b.jpg", true],
  ["http://h", "//h/b.jpg", "http://h/b.jpg", true],
  ["http://h", "//other/b.jpg", "http://other/b.jpg", false],
  ["http://h", "http://H./b.jpg", "http://h./b.jpg", true],
  ["http://h", "https://h/b.jpg", "https://h/b.jpg", true],
  ["http://h:8080", "https://h/b.jpg", "https://h/b.jpg", false],
  ["http://h", "http://h:8080/b.jpg", "http://h:8080/b.jpg", false],
  ["https://h", "https://cdn.h/b.jpg", "https://cdn.h/b.jpg", false],
  ["http://h", "http://good\\@evil/b.jpg", "http://good/@evil/b.jpg", false],
] as const;

for (const [base, location, url, isHome] of FOLLOWED) {
  test(`nextHop() follows ${location} from ${base}${isHome ? ", still at home" : ""}`, () => {
    const hop = follow(base, location);
    expect([hop.url, hop.isHome]).toEqual([url, isHome]);
  });
}

test("nextHop() keeps the query, drops the fragment and reads bytes above ASCII as UTF-8", () => {
  const location = Buffer.from("/图.jpg?a=1#x", "utf8").toString("latin1");
  expect(follow("http://h", location).target).toBe("/%E5%9B%BE.jpg?a=1");
});

const REFUSED = [
  ["http://h", undefined],
  ["http://h", "http://"],
  ["https://h", "http://h/b.jpg"],
  ["https://h", "http://other/b.jpg"],
  ["http://h", "ftp://h/b.jpg"],
  ["http://h", "file:///etc/passwd"],
  ["http://h", "gopher://h/"],
  ["http://h", "data:image/png,x"],
  ["http://h", "http://user@h/b.jpg"],
  ["http://h", "http://user:pw@other/b.jpg"],
  ["http://h", "http://h:22/"],
  ["http://h", "http://h:6379/"],
  ["http://h", "/dir/a.jpg"],
  ["http://h", "#x"],
] as const;

for (const [base, location] of REFUSED) {
  test(`nextHop() refuses ${location} from ${base}`, () => {
    expect(() => follow(base, location)).toThrow(expect.objectContaining({ code: "origin_redirect" }));
  });
}

test("nextHop() follows five redirects and refuses the sixth", () => {
  const hop = hopOf("http://h", "0");
  const hops: [Hop, ...Hop[]] = [hop];
  for (let index = 1; index <= 5; index += 1) hops.push(nextHop(hops, `/${index}`, false));
  expect(() => nextHop(hops, "/6", false)).toThrow(expect.objectContaining({ code: "origin_redirect" }));
});

test("nextHop() never marks a hop as home after a foreign one, and never returns to a private home", () => {
  const hop = hopOf("http://h", "a");
  const away = nextHop([hop], "http://other/", true);
  expect(nextHop([hop, away], "http://h/b", false).isHome).toBe(false);
  expect(() => nextHop([hop, away], "http://h/b", true)).toThrow(expect.objectContaining({ code: "origin_blocked" }));
});

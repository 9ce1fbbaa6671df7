import { describe, expect, test } from "vitest";
import { readListedUrl, shownUrl, type UrlEncoding } from "../../../../../src/operate/migrations/sources/listed-url.ts";

const H = "http://h.example";

/** URL, encoding, the request's target, the fileid. */
const URLS: readonly (readonly [string, UrlEncoding, string, string])[] = [
  [`${H}/a/b.jpg`, "auto", "/a/b.jpg", "a/b.jpg"],
  // Raw: a percent sign means itself.
  [`${H}/a%20b.jpg`, "raw", "/a%2520b.jpg", "a%20b.jpg"],
  [`${H}/a b+c.jpg`, "raw", "/a%20b%2Bc.jpg", "a b+c.jpg"],
  // Encoded: decoded once, and sent as it is written.
  [`${H}/a%20b.jpg`, "encoded", "/a%20b.jpg", "a b.jpg"],
  [`${H}/a%2520b.jpg`, "encoded", "/a%2520b.jpg", "a%20b.jpg"],
  [`${H}/a%2Fb+c.jpg`, "encoded", "/a%2Fb+c.jpg", "a/b+c.jpg"],
  [`${H}/50% 图.jpg`, "encoded", "/50%25%20%E5%9B%BE.jpg", "50% 图.jpg"],
  // Auto: a byte that must be encoded decides.
  [`${H}/a%20b.jpg`, "auto", "/a%20b.jpg", "a b.jpg"],
  [`${H}/%E5%9B%BE.jpg`, "auto", "/%E5%9B%BE.jpg", "图.jpg"],
  [`${H}/图%20.jpg`, "auto", "/%E5%9B%BE%2520.jpg", "图%20.jpg"],
  [`${H}/a b%20.jpg`, "auto", "/a%20b%2520.jpg", "a b%20.jpg"],
  [`${H}/100%.jpg`, "auto", "/100%25.jpg", "100%.jpg"],
  [`${H}/a%20.jpg?q=图`, "auto", "/a%2520.jpg?q=%E5%9B%BE", "a%20.jpg"],
  // Browsers do not encode brackets, although RFC 3986 does.
  [`${H}/a[1]%20b.jpg`, "auto", "/a%5B1%5D%20b.jpg", "a[1] b.jpg"],
  // Query, fragment and parameters of the last segment are no part of the name.
  [`${H}/a.jpg?x=1/2;3#f`, "auto", "/a.jpg?x=1/2;3", "a.jpg"],
  [`${H}/a.jpg#f?x`, "auto", "/a.jpg", "a.jpg"],
  [`${H}/a;x/b.jpg;v=1;w`, "auto", "/a;x/b.jpg;v=1;w", "a;x/b.jpg"],
  [`${H}/a%3Bx.jpg`, "auto", "/a%3Bx.jpg", "a;x.jpg"],
  [`${H}/a.jpg?x=%zz y`, "raw", "/a.jpg?x=%25zz%20y", "a.jpg"],
  // Slashes and dots stay as they are.
  [`${H}//a//b.jpg`, "auto", "//a//b.jpg", "/a//b.jpg"],
  [`${H}/a/../b.jpg`, "auto", "/a/../b.jpg", "a/../b.jpg"],
  [`${H}/`, "auto", "/", ""],
  [`${H}?x`, "auto", "/?x", ""],
];

test.each(URLS)("readListedUrl(%j, %j) requests %j for the name %j", (url, encoding, target, fileid) => {
  expect(readListedUrl(url, encoding)).toMatchObject({ isFile: false, origin: H, target, fileid });
});

test.each([
  ["HTTP://H.example:80/a.jpg", "http://h.example"],
  ["https://h.example:8443/a.jpg", "https://h.example:8443"],
  ["http://[::1]:8080/a.jpg", "http://[::1]:8080"],
  ["http://图片.example/a.jpg", "http://xn--wcsw84d.example"],
])("readListedUrl(%j) is at %j", (url, origin) => {
  expect(readListedUrl(url, "auto").origin).toBe(origin);
});

test("readListedUrl() names a file by the path, with and without localhost", () => {
  for (const host of ["", "localhost"]) {
    const url = readListedUrl(`file://${host}/data/a%20b;1.jpg`, "auto");
    expect(url).toMatchObject({ isFile: true, path: "/data/a b;1.jpg", fileid: "data/a b" });
  }
});

describe("readListedUrl() refuses", () => {
  test.each([
    ["ftp://h.example/a.jpg", /ftp: are not supported/],
    ["gopher://h.example/a.jpg", /gopher: are not supported/],
    ["/data/a.jpg", /no URL with its scheme/],
    ["h.example/a.jpg", /no URL with its scheme/],
    ["http:/h.example/a.jpg", /no URL with its scheme/],
    ["file://elsewhere/data/a.jpg", /name no host/],
    ["http:///a.jpg", /not a URL/],
    ["http://h.example:22/a.jpg", /port 22/],
    ["http://h.example:99999/a.jpg", /not a URL/],
    ["http://h\\evil/a.jpg", /host is not valid/],
    ["http://h.example/%FF.jpg", /not UTF-8/],
    ["http://user:secret@h.example/a.jpg", /user name/],
  ])("%j", (url, message) => {
    expect(() => readListedUrl(url, "auto")).toThrow(message);
    expect(() => readListedUrl(url, "auto")).not.toThrow(/secret/);
  });
});

test("shownUrl() hides the password, escapes, and cuts", () => {
  expect(shownUrl("http://user:secret@h.example/a\u001b.jpg")).toBe("http://***@h.example/a\\x1b.jpg");
  expect(shownUrl("http:/user:secret@h/a.jpg?sig=secret")).toBe("http:/***@h/a.jpg");
  expect(shownUrl("user:a:secret@h/a.jpg#secret")).toBe("user:***@h/a.jpg");
  expect(shownUrl("//secret@h/a.jpg")).toBe("//***@h/a.jpg");
  expect(shownUrl(`ftp://u:${"p".repeat(300)}@h/图.jpg`)).toBe("ftp://***@h/图.jpg");
  expect(shownUrl("图/icon@2x.jpg")).toBe("图/icon@2x.jpg");
  expect(shownUrl(Buffer.from([0x61, 0xff]))).toBe("a\\xff");
  expect(shownUrl("x".repeat(10_000)).length).toBe(200);
});

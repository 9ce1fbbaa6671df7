// The listings of a web site: sitemaps, sitemap indexes, and lists of keys and URLs.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, describe, expect, test } from "vitest";
import type { Listing } from "../../../../../src/operate/migrations/sources/origins.ts";
import { createSitemapListing } from "../../../../../src/operate/migrations/sources/sitemap.ts";
import { createKeyListing } from "../../../../../src/operate/migrations/sources/url-list.ts";
import { startCpuTimer } from "../../../../helpers/cpu-time.ts";
import { failuresOf, NEVER, objectsOf, SOURCE_HTTP } from "../../../../helpers/migration-sources.ts";
import {
  chunk,
  head,
  response,
  type ScriptedOrigin,
  type ScriptTable,
  startScriptedOrigin,
} from "../../../../helpers/scripted-origin.ts";

let server: ScriptedOrigin | undefined;
let listing: Listing | undefined;
afterEach(async () => {
  await listing?.close();
  await server?.close();
  [server, listing] = [undefined, undefined];
});

const BASES = ["//www.example.com/img/", "//img.example.com/"];
const SITE = "https://www.example.com/img";

async function sitemapOf(
  scripts: (url: () => string) => ScriptTable,
  bases = BASES,
  allowPrivate = true,
): Promise<Listing> {
  server = await startScriptedOrigin(scripts(() => server?.url ?? ""));
  listing = createSitemapListing(`${server.url}/sitemap.xml`, bases, { ...SOURCE_HTTP, allowPrivate });
  return listing;
}

const only = (document: string | Uint8Array) => () => ({ "/sitemap.xml": [response(document)] });
const namesOf = async (from: Listing) => (await objectsOf(from)).map(({ fileid }) => fileid);
const urlset = (...locs: readonly string[]) =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">${locs.join("\n")}</urlset>`;
const image = (url: string) =>
  `<url><loc>${SITE}/page</loc><image:image><image:loc>${url}</image:loc></image:image></url>`;

const DOCUMENT = urlset(
  `<url><loc>${SITE}/page.html</loc><lastmod>2015-01-01</lastmod></url>`,
  image(`${SITE}/no-suffix?a=1&amp;b=2`),
  image(`\n  ${SITE}/%E5%9B%BE%20.jpg\n`),
  image(`<![CDATA[${SITE}/c&d.jpg]]>`),
  image("http://img.example.com/other/e.png"),
  `<url><loc>${SITE}/f.JPG</loc></url>`,
  `<!-- ${image(`${SITE}/commented.jpg`)} -->`,
  `<video:video><video:thumbnail_loc>${SITE}/thumb.jpg</video:thumbnail_loc></video:video>`,
);
const NAMES = ["no-suffix", "图 .jpg", "c&d.jpg", "other/e.png", "f.JPG"];

test("lists the images of a sitemap as keys below the bases, and no pages, comments and videos", async () => {
  expect(await namesOf(await sitemapOf(only(DOCUMENT)))).toEqual(NAMES);
});

test("lists the same in chunks of any size, and compressed in both ways", async () => {
  const chunked = head("200 OK", [["Transfer-Encoding", "chunked"]]);
  for (const size of [1, 50]) {
    const bytes = Buffer.from(DOCUMENT);
    const parts = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
      chunk(bytes.subarray(at * size, (at + 1) * size)),
    );
    expect(await namesOf(await sitemapOf(() => ({ "/sitemap.xml": [chunked, ...parts, chunk("")] })))).toEqual(NAMES);
    await server?.close();
  }
  expect(await namesOf(await sitemapOf(only(gzipSync(DOCUMENT))))).toEqual(NAMES);
  await server?.close();
  const coded = response(gzipSync(DOCUMENT), { headers: { "Content-Encoding": "gzip" } });
  expect(await namesOf(await sitemapOf(() => ({ "/sitemap.xml": [coded] })))).toEqual(NAMES);
});

test("an image elsewhere is a failure by its URL", async () => {
  const document = urlset(image("http://cdn.example.net/a.jpg"), image(`${SITE}/a.jpg`), image("ftp://x/y.jpg"));
  const from = await sitemapOf(() => ({ "/sitemap.xml": [response(document)] }));
  expect(await namesOf(from)).toEqual(["a.jpg"]);
  expect((await failuresOf(from)).map(({ shown }) => shown)).toEqual(["http://cdn.example.net/a.jpg", "ftp://x/y.jpg"]);
});

test("lists every sitemap of an index, each once", async () => {
  const index = (url: string) =>
    `<sitemapindex><sitemap><loc>${url}/1.xml</loc></sitemap><sitemap><loc>${url}/2.xml.gz</loc></sitemap></sitemapindex>`;
  const from = await sitemapOf((url) => ({
    get "/sitemap.xml"() {
      return [response(index(url()))];
    },
    "/1.xml": [response(urlset(image(`${SITE}/1.jpg`)))],
    "/2.xml.gz": [response(gzipSync(urlset(image(`${SITE}/2.jpg`))))],
  }));
  expect(await namesOf(from)).toEqual(["1.jpg", "2.jpg"]);
});

describe("a sitemap throws", () => {
  test.each([
    ["if it does not exist", response("", { status: "404 Not Found" }), "origin_status"],
    ["if it is a page", response("<html><body>not here</body></html>"), "origin_unexpected"],
    ["if its end is missing", response(DOCUMENT.slice(0, -20)), "origin_unexpected"],
    ["if its compression is cut", response(gzipSync(DOCUMENT).subarray(0, -20)), "origin_unexpected"],
    ["if it decompresses to more than 50 MiB", response(gzipSync(Buffer.alloc(53_000_000, " "))), "origin_unexpected"],
  ])("%s", async (_name, answer, code) => {
    const from = await sitemapOf(() => ({ "/sitemap.xml": [answer] }));
    await expect(objectsOf(from)).rejects.toMatchObject({ code });
  });

  test("if an index names an index", async () => {
    const from = await sitemapOf((url) => ({
      get "/sitemap.xml"() {
        return [response(`<sitemapindex><loc>${url()}/2.xml</loc></sitemapindex>`)];
      },
      "/2.xml": [response("<sitemapindex><loc>http://h/3.xml</loc></sitemapindex>")],
    }));
    await expect(objectsOf(from)).rejects.toThrow(/it is an index too/);
  });

  test("if it has a private address that is not allowed", async () => {
    await expect(objectsOf(await sitemapOf(only(DOCUMENT), BASES, false))).rejects.toMatchObject({
      code: "origin_blocked",
    });
  });
});

test("a long sitemap without any element is read in linear time", async () => {
  const filler = `<loc>${" ".repeat(2_000_000)}${"<!--".repeat(200_000)}`;
  const from = await sitemapOf(only(`<urlset>${filler}`));
  const cpuMs = startCpuTimer();
  await expect(objectsOf(from)).rejects.toMatchObject({ code: "origin_unexpected" });
  expect(cpuMs()).toBeLessThan(5_000);
});

test("a list has keys as they are, and URLs below the bases", async () => {
  const dir = mkdtempSync(join(tmpdir(), "huiyuan-keys-"));
  const file = join(dir, "keys.txt");
  writeFileSync(file, `a b%20c.jpg\n${SITE}/d%20e.jpg?x\nhttp://elsewhere/f.jpg\n../g.jpg\n`);
  listing = createKeyListing({ file, bases: BASES, folders: undefined });
  try {
    expect(await namesOf(listing)).toEqual(["a b%20c.jpg", "d e.jpg"]);
    expect((await failuresOf(listing)).map(({ shown }) => shown)).toEqual(["http://elsewhere/f.jpg", "../g.jpg"]);
    expect(await listing.list(undefined, NEVER)[Symbol.asyncIterator]().next()).toMatchObject({ done: false });
  } finally {
    rmSync(dir, { recursive: true });
  }
});

// The source Qiniu in front of stand-ins: the range of items, errors of the listing, signed downloads, and the guard.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Source } from "../../../../../src/operate/migrations/source.ts";
import { createQiniuSource, type QiniuSourceOptions } from "../../../../../src/operate/migrations/sources/qiniu.ts";
import { contentOf, NEVER, objectsOf, pagesOf, SOURCE_HTTP } from "../../../../helpers/migration-sources.ts";
import {
  type QiniuListing,
  type QiniuStandIn,
  startQiniuListing,
  startQiniuStandIn,
} from "../../../../helpers/qiniu-stand-in.ts";

const KEYS = { accessKey: "QINIU_AK", secretKey: "QINIU_SK" };
const NAMES = Array.from({ length: 25 }, (_, index) => `${String(index).padStart(2, "0")}.jpg`);
const OBJECTS: ReadonlyMap<string, Uint8Array> = new Map(NAMES.map((name) => [name, Buffer.from(name)]));

type Instead = (count: number) => { readonly status: number; readonly body: string } | undefined;
let instead: Instead;
let listing: QiniuListing;
let downloads: QiniuStandIn;
let sources: Source[] = [];

beforeEach(async () => {
  instead = () => undefined;
  const answer: Instead = (count) => instead(count);
  listing = await startQiniuListing({
    bucket: "pictures",
    objects: OBJECTS,
    keys: KEYS,
    pageItems: 10,
    instead: answer,
  });
  downloads = await startQiniuStandIn({ objects: OBJECTS, keys: KEYS, referer: "http://www.example.com" });
});
afterEach(async () => {
  for (const source of sources) await source.close();
  sources = [];
  await listing.close();
  await downloads.close();
});

function sourceOf(options: Partial<QiniuSourceOptions> = {}, allowPrivate = true): Source {
  const place = { bucket: "pictures", ...KEYS, domain: downloads.url, endpoint: listing.url };
  const range = { startOffset: 0, total: Number.POSITIVE_INFINITY };
  const whole = { ...place, ...range, isPrivate: true, referer: "http://www.example.com", ...options };
  const source = createQiniuSource(whole, { ...SOURCE_HTTP, allowPrivate });
  sources.push(source);
  return source;
}

const namesOf = async (source: Source, after?: string) => (await objectsOf(source, after)).map(({ fileid }) => fileid);

test("signs each page and each download, and stores no signature", async () => {
  const source = sourceOf();
  expect([...(await contentOf(source)).keys()]).toEqual(NAMES);
  expect(listing.requests.length).toBe(3);
  expect(downloads.requests.every(({ status, deadline }) => status === 200 && deadline !== undefined)).toBe(true);
  expect(JSON.stringify(await pagesOf(source))).not.toMatch(/token|QINIU/);
  const [first] = await objectsOf(source);
  expect(first).toEqual({
    fileid: "00.jpg",
    locator: "00.jpg",
    size: 6,
    version: expect.stringMatching(/^[\w-]{27}$/),
  });
});

test.each([
  [0, 0, 0, 0],
  [0, 3, 0, 3],
  [7, 5, 7, 12],
  [10, 10, 10, 20],
  [12, 100, 12, 25],
  [24, Number.POSITIVE_INFINITY, 24, 25],
  [25, 5, 25, 25],
  [1_000, 5, 25, 25],
])(
  "start_offset %d and total_num %d list the items %d to %d, also in two parts",
  async (startOffset, total, from, to) => {
    const source = sourceOf({ startOffset, total });
    const pages = await pagesOf(source);
    expect(pages.flatMap(({ objects }) => objects.map(({ fileid }) => fileid))).toEqual(NAMES.slice(from, to));
    for (const [at, { cursor }] of pages.entries()) {
      const before = pages.slice(0, at + 1).flatMap(({ objects }) => objects).length;
      expect(await namesOf(sourceOf({ startOffset, total }), cursor)).toEqual(NAMES.slice(from, to).slice(before));
    }
  },
);

test("a range that ends early requests no further page", async () => {
  await namesOf(sourceOf({ total: 10 }));
  expect(listing.requests.length).toBe(1);
});

describe("a listing that fails throws, and never ends", () => {
  const later =
    (status: number, body: string): Instead =>
    (count) =>
      count > 1 ? { status, body } : undefined;

  test.each([
    ["a wrong key", { accessKey: "other" }, { code: "origin_status", originStatus: 401 }, /bad token/],
    ["a wrong secret", { secretKey: "other" }, { code: "origin_status", originStatus: 401 }, /bad token/],
    ["an unknown bucket", { bucket: "none" }, { code: "origin_status", originStatus: 631 }, /no such bucket/],
  ])("%s", async (_name, options, facts, message) => {
    const failed = objectsOf(sourceOf({ isPrivate: false, ...options }));
    await expect(failed).rejects.toMatchObject({ ...facts, message: expect.stringMatching(message) });
    expect(listing.requests.length).toBe(1);
  });

  test.each([
    ["the account is closed", later(403, '{"error":"account is disabled"}'), "origin_status"],
    ["the page is no JSON", later(200, "<html>"), "origin_unexpected"],
    ["the page has no items", later(200, "{}"), "origin_unexpected"],
    ["an item has no key", later(200, '{"items":[{}]}'), "origin_unexpected"],
    ["the page redirects", later(302, ""), "origin_redirect"],
    ["the page does not exist", later(404, ""), "origin_status"],
  ])("after a page: %s", async (_name, answer, code) => {
    instead = answer;
    await expect(objectsOf(sourceOf())).rejects.toMatchObject({ code });
  });

  test("a marker that does not advance", async () => {
    const body = JSON.stringify({ items: [], marker: "same" });
    instead = (count) => (count > 1 ? { status: 200, body } : undefined);
    await expect(objectsOf(sourceOf())).rejects.toMatchObject({ code: "origin_unexpected" });
    expect(listing.requests.length).toBe(3);
  });
});

test("a page is requested again after a failure that may pass", async () => {
  instead = (count) => (count === 2 ? { status: 503, body: "" } : undefined);
  expect(await namesOf(sourceOf())).toEqual(NAMES);
  expect(listing.requests.length).toBe(4);
});

test("an empty bucket has no objects", async () => {
  instead = () => ({ status: 200, body: '{"items":null}' });
  expect(await namesOf(sourceOf())).toEqual([]);
});

test("without allowPrivate neither the listing nor the downloads are requested", async () => {
  const source = sourceOf({}, false);
  await expect(objectsOf(source)).rejects.toMatchObject({ code: "origin_blocked" });
  const fetching = source.fetch({ object: { fileid: "00.jpg", locator: "00.jpg" }, maxBytes: 10, signal: NEVER });
  await expect(fetching).rejects.toMatchObject({ code: "origin_blocked" });
  expect([listing.requests.length, downloads.requests.length]).toEqual([0, 0]);
});

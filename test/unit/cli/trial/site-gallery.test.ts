// The gallery of a named site, in front of a real mirror and a real site.
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type App, startApp } from "../../../../src/app.ts";
import type { PageServer } from "../../../../src/cli/trial/page-server.ts";
import { startSiteGallery } from "../../../../src/cli/trial/site-gallery.ts";
import { makeTrialKeys, trialSettings } from "../../../../src/cli/trial/trial-settings.ts";
import { SILENT_LOG } from "../../../../src/core/log.ts";
import { type Key, toKey } from "../../../../src/core/object.ts";
import { noisyJpeg } from "../../../helpers/images.ts";
import { createLatch } from "../../../helpers/spools.ts";

let folder: string;
let site: Server;
let siteUrl: string;
let app: App;
let gallery: PageServer | undefined;
/** The paths that the site was asked for. */
const asked: string[] = [];
/** The site's images wait for it. */
let opened: Promise<void>;
/** Images named "half" end in the middle after it. */
let halves: Promise<unknown>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "huiyuan-gallery-"));
  const image = await noisyJpeg(64, 64);
  opened = Promise.resolve();
  site = createServer(async (request, response) => {
    asked.push(request.url ?? "");
    await opened;
    if (/none/.test(request.url ?? "")) response.writeHead(404).end();
    else if (/half/.test(request.url ?? "")) {
      response.writeHead(200, { "Content-Length": image.length }).write(image.subarray(0, image.length / 2));
      await halves;
      response.destroy();
    } else response.end(image);
  }).listen(0, "127.0.0.1");
  await once(site, "listening");
  siteUrl = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
  const parts = { folder, originUrl: siteUrl, isPrivate: true, keys: makeTrialKeys() };
  app = await startApp({ settings: trialSettings(parts, { port: 0, adminPort: 0 }), log: SILENT_LOG });
});

afterEach(async () => {
  await gallery?.close();
});

afterAll(async () => {
  await app.stop();
  site.close();
  site.closeAllConnections();
  await rm(folder, { recursive: true, force: true });
});

interface Opened {
  readonly pictures: readonly string[];
  readonly trouble?: string;
  readonly deadlineMs?: number;
}

/** Opens the gallery; returns the page of a query. */
async function open({ pictures, trouble, deadlineMs }: Opened): Promise<(query?: string) => Promise<string>> {
  const mirrorUrl = (key: Key) => `http://127.0.0.1:${app.downloadPort}/${encodeURIComponent(key)}`;
  const keys = pictures.map((name) => toKey(name));
  const late = deadlineMs === undefined ? {} : { deadlineMs };
  gallery = await startSiteGallery({ siteUrl, trouble, pictures: keys, mirrorUrl, fetchedMs: new Map(), ...late });
  const { url } = gallery;
  return async (query = "") => (await fetch(`${url}/${query}`)).text();
}

const captionsOf = (page: string) =>
  [...page.matchAll(/<small class="came (\w+)">([^<]*)</g)].map(([, kind, text = ""]) => [
    kind,
    text.replace(/[\d.]+ ms/g, "N ms"),
  ]);

test("the gallery shows each picture as fetched, and as stored on the next view", async () => {
  const view = await open({ pictures: ["a.jpg", "晨雾.jpg"] });
  const fetched = ["fetched", "fetched from the site · N ms"];
  const first = await view();
  expect(captionsOf(first)).toEqual([fetched, fetched]);
  expect(first).toContain("2 of 2 pictures came from 127.0.0.1:");
  const stored = ["kept", "stored · N ms (fetched in N ms)"];
  await expect.poll(async () => captionsOf(await view())).toEqual([stored, stored]);
  expect(await view()).toContain("Huiyuan served its own copies");
  expect(asked.sort()).toEqual(["/%E6%99%A8%E9%9B%BE.jpg", "/a.jpg"]);
});

test("the gallery shows the status of a picture that the site does not have", async () => {
  const page = await (await open({ pictures: ["none.jpg"] }))();
  expect(captionsOf(page)).toEqual([["failed", "no picture: 404 · N ms"]]);
  expect(page).not.toContain("<img");
});

test("a picture that ends in the middle does not count as fetched", async () => {
  halves = delay(200);
  const page = await (await open({ pictures: ["half.jpg", "whole.jpg"] }))();
  expect(captionsOf(page).map(([kind]) => kind)).toEqual(["failed", "fetched"]);
  expect(page).toContain("cut short by the site: not stored");
  expect(page).toContain("1 of 2 pictures came from 127.0.0.1:");
});

test("a picture that is not whole in time is called slow: Huiyuan did answer", async () => {
  const latch = createLatch();
  halves = latch.opened;
  const page = await (await open({ pictures: ["half-slow.jpg"], deadlineMs: 300 }))();
  latch.open();
  expect(captionsOf(page)).toEqual([["failed", "too slow for this page: reload it"]]);
});

test.each([
  ["a path", "/pics/a.jpg", "pics/a.jpg"],
  ["a path without a slash", "pics/a.jpg", "pics/a.jpg"],
  ["an escaped name", "%E5%9B%BE.jpg", "图.jpg"],
  ["an unescaped name", "图.jpg", "图.jpg"],
  ["a whole URL", "SITE/x.jpg", "x.jpg"],
])("the field adds a picture by %s", async (_claim, text, key) => {
  const view = await open({ pictures: ["b.jpg"] });
  const page = await view(`?picture=${encodeURIComponent(text.replace("SITE", siteUrl))}`);
  expect([...page.matchAll(/<img [^>]* alt="([^"]*)"/g)].map(([, name]) => name)).toEqual([key, "b.jpg"]);
});

test.each([
  ["another site", "https://img.other.example/a.jpg", "npm start -- https://that.site"],
  ["the site's own port plus a digit", "SITE1/a.jpg", "npm start -- https://that.site"],
  ["an invalid path", "/\u0000.jpg", "Cannot use"],
  ["GBK", "/%b2%e2.jpg", "not UTF-8"],
  ["a query", "/a.jpg?imageView2/2/w/80", "without a query"],
])("the field refuses %s, and says why", async (_claim, text, said) => {
  const view = await open({ pictures: [] });
  const page = await view(`?picture=${encodeURIComponent(text.replace("SITE", siteUrl))}`);
  expect(page).toMatch(/<p class="hint problem" role="alert">[^<]+</);
  expect(page).toContain(said);
  expect(captionsOf(page)).toEqual([]);
});

test("the gallery says that the home page had no picture, or did not answer", async () => {
  expect(await (await open({ pictures: [] }))()).toContain("No picture was found on the home page");
  await gallery?.close();
  const page = await (await open({ pictures: [], trouble: 'no "answer" <b>' }))();
  expect(page).toContain("did not answer");
  expect(page).toContain("no &quot;answer&quot; &lt;b&gt;");
});

test("the gallery escapes names and the text of its field, and allows no script", async () => {
  const evil = `"><script>alert(1)</script>'.jpg`;
  const view = await open({ pictures: [evil] });
  const page = await view(`?picture=${encodeURIComponent(`https://${evil}`)}`);
  expect(page.match(/<script/g)).toBeNull();
  expect(page).toContain("&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&#39;.jpg");
  const { headers } = await fetch(gallery?.url ?? "");
  expect(headers.get("content-security-policy")).toMatch(/^default-src 'none'; .*frame-ancestors 'none'$/);
  expect(headers.get("content-security-policy")).not.toContain("unsafe");
});

test("the gallery answers its page alone, to GET and HEAD", async () => {
  await open({ pictures: [] });
  const status = async (path: string, method = "GET") => (await fetch(`${gallery?.url}${path}`, { method })).status;
  expect(await Promise.all([status("/"), status("/", "HEAD"), status("/x"), status("/", "POST")])).toEqual([
    200, 200, 404, 405,
  ]);
});

test("a client that leaves in the middle of a view does not end the gallery", async () => {
  const latch = createLatch();
  opened = latch.opened;
  const view = await open({ pictures: ["slow.jpg", "slower.jpg"] });
  const before = asked.length;
  const leaving = new AbortController();
  const left = fetch(gallery?.url ?? "", { signal: leaving.signal }).then((response) => response.text());
  await expect.poll(() => asked).toHaveLength(before + 2);
  leaving.abort();
  await expect(left).rejects.toThrow();
  latch.open();
  await expect.poll(async () => captionsOf(await view()).map(([kind]) => kind)).toEqual(["kept", "kept"]);
});

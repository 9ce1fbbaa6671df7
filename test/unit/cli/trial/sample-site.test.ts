import { afterEach, beforeEach, expect, test } from "vitest";
import type { PageServer } from "../../../../src/cli/trial/page-server.ts";
import type { SamplePicture } from "../../../../src/cli/trial/sample-pictures.ts";
import { startSampleSite } from "../../../../src/cli/trial/sample-site.ts";

const picture = (name: string, title: string, text: string): SamplePicture => ({
  name,
  title,
  titleZh: "图",
  mediaType: "image/jpeg",
  bytes: Buffer.from(text),
  width: 3,
  height: 2,
});

const PICTURES = [
  picture("a.jpg", 'A <b>&"bold"</b> title', "first"),
  picture("晨雾.jpg", "Mist", "second"),
  picture("city at dusk.png", "City", "third"),
];

let site: PageServer;

beforeEach(async () => {
  site = await startSampleSite({
    pictures: PICTURES,
    mirrorUrl: (name) => `http://mirror.test/images/${encodeURIComponent(name)}?"><script>`,
    delayMs: 0,
  });
});

afterEach(() => site.close());

const get = (path: string, init?: RequestInit): Promise<Response> =>
  fetch(`${site.url}${path}`, { redirect: "manual", ...init });

test("startSampleSite() serves a picture with its type, length and validators", async () => {
  const answer = await get("/images/a.jpg");
  expect(answer.status).toBe(200);
  expect(answer.headers.get("content-type")).toBe("image/jpeg");
  expect(answer.headers.get("content-length")).toBe("5");
  expect(answer.headers.get("last-modified")).toBe("Wed, 15 Jul 2015 08:00:00 GMT");
  expect(answer.headers.get("etag")).toMatch(/^"[0-9a-f]{16}"$/);
  expect(await answer.text()).toBe("first");
});

test.each([
  ["/images/%E6%99%A8%E9%9B%BE.jpg", "second"],
  ["/images/city%20at%20dusk.png", "third"],
  ["/images/a.jpg?visit=2", "first"],
])("startSampleSite() finds %s", async (path, body) => {
  expect(await (await get(path)).text()).toBe(body);
});

test.each([
  ["/images/b.jpg", 404],
  ["/images/", 404],
  ["/images/%zz", 404],
  ["/images/..%2Fsrc", 404],
  ["/images/__proto__", 404],
  ["/favicon.ico", 404],
])("startSampleSite() answers %s with %i", async (path, status) => {
  expect((await get(path)).status).toBe(status);
});

test("startSampleSite() answers 304 to its own ETag, and HEAD without a body", async () => {
  const head = await get("/images/a.jpg", { method: "HEAD" });
  expect([head.status, head.headers.get("content-length"), await head.text()]).toEqual([200, "5", ""]);
  const etag = head.headers.get("etag") ?? "";
  expect((await get("/images/a.jpg", { headers: { "if-none-match": etag } })).status).toBe(304);
  expect((await get("/images/a.jpg", { headers: { "if-none-match": '"other"' } })).status).toBe(200);
});

test("startSampleSite() counts requests for existing pictures only, in all and by name", async () => {
  for (const path of [
    "/",
    "/images/a.jpg",
    "/images/a.jpg",
    "/images/city%20at%20dusk.png",
    "/images/none.jpg",
    "/state",
  ]) {
    await (await get(path)).arrayBuffer();
  }
  expect(await (await get("/state")).json()).toEqual({
    state: "serving",
    stored: 0,
    total: 3,
    requests: { "a.jpg": 2, "city at dusk.png": 1 },
  });
});

test("startSampleSite() is not stopped by a GET or by another site's page", async () => {
  expect((await get("/stop-serving")).status).toBe(405);
  const foreign = await get("/stop-serving", { method: "POST", headers: { origin: "http://evil.test" } });
  expect(foreign.status).toBe(403);
  expect((await get("/images/a.jpg")).status).toBe(200);
});

test("startSampleSite() refuses other methods", async () => {
  const answer = await get("/images/a.jpg", { method: "PUT", body: "x" });
  expect([answer.status, answer.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
});

test("the page links every picture to the mirror and escapes its texts", async () => {
  const answer = await get("/");
  const html = await answer.text();
  const sources = [...html.matchAll(/<img src="([^"]*)"/g)].map((match) => match[1]);
  expect(sources.length).toBeGreaterThan(PICTURES.length);
  for (const source of sources) expect(source).toMatch(/^http:\/\/mirror\.test\/.*visit=1$/);
  expect(sources[2]).toBe("http://mirror.test/images/city%20at%20dusk.png?&quot;&gt;&lt;script&gt;&amp;visit=1");
  expect(html).toContain("A &lt;b&gt;&amp;&quot;bold&quot;&lt;/b&gt; title");
  expect(html).not.toContain("<b>&");
  const nonce = /<script nonce="([\w-]+)">/.exec(html)?.[1];
  expect(answer.headers.get("content-security-policy")).toContain(`script-src 'nonce-${nonce}'`);
});

test("each view of the page uses new URLs, so that the browser's cache is bypassed", async () => {
  await get("/");
  expect(await (await get("/")).text()).toContain("visit=2");
});

test("close() aborts a delayed answer", async () => {
  const slow = await startSampleSite({
    pictures: PICTURES,
    mirrorUrl: (name) => name,
    delayMs: 600_000,
  });
  const answer = fetch(`${slow.url}/images/a.jpg`).then(
    () => "answered",
    () => "broken off",
  );
  await expect.poll(async () => (await fetch(`${slow.url}/state`)).text()).toContain('"total":1');
  await slow.close();
  expect(await answer).toBe("broken off");
});

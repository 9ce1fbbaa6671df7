import { readdirSync, readFileSync } from "node:fs";
import sharp from "sharp";
import { afterEach, beforeEach, expect, test } from "vitest";
import { MEDIA_TYPES } from "../../../../../src/core/object.ts";
import { DIRECT_HEADERS } from "../../../../../src/operate/doctor/find-pictures.ts";
import {
  readSamplePictures,
  type SamplePicture,
  type SampleSite,
  startSampleSite,
} from "../../../../../src/operate/trial/run/sample-site.ts";
import { createGate } from "../../../../../src/serve/body/gate/gate.ts";

const picture = (name: string, title: string, text: string): SamplePicture => ({
  name,
  title,
  titleZh: "图",
  mediaType: "image/jpeg",
  bytes: Buffer.from(text),
});

const PICTURES = [
  picture("a.jpg", 'A <b>&"bold"</b> title', "first"),
  picture("晨雾.jpg", "Mist", "second"),
  picture("city at dusk.png", "City", "third"),
];

let site: SampleSite;

beforeEach(async () => {
  site = await startSampleSite({ pictures: PICTURES, delayMs: 0 });
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

test("startSampleSite() counts the mirror's requests for existing pictures, also while it is stopped", async () => {
  for (const path of ["/", "/images/a.jpg", "/images/a.jpg", "/images/city%20at%20dusk.png", "/images/none.jpg"])
    await (await get(path)).arrayBuffer();
  await (await get("/images/a.jpg", { headers: DIRECT_HEADERS })).arrayBuffer();
  expect(site.requests()).toBe(3);
  site.setStopped(true);
  expect([(await get("/images/a.jpg")).status, site.requests()]).toEqual([503, 4]);
  site.setStopped(false);
  expect((await get("/images/a.jpg")).status).toBe(200);
});

test("startSampleSite() refuses other methods", async () => {
  const answer = await get("/images/a.jpg", { method: "PUT", body: "x" });
  expect(answer.status).toBe(405);
});

test("close() aborts a delayed answer", async () => {
  const slow = await startSampleSite({ pictures: PICTURES, delayMs: 600_000 });
  const answer = fetch(`${slow.url}/images/a.jpg`).then(
    () => "answered",
    () => "broken off",
  );
  await expect.poll(slow.requests).toBe(1);
  await slow.close();
  expect(await answer).toBe("broken off");
});

const ROOT = new URL("../../../../../", import.meta.url);
const pictures = await readSamplePictures();

test("readSamplePictures() reads every file of config/samples/, each once", () => {
  const files = readdirSync(new URL("config/samples/", ROOT)).filter((name) => name !== "README.md");
  expect(pictures.map(({ name }) => name).sort()).toEqual(files.sort());
  expect(pictures).toHaveLength(15);
  expect(new Set(pictures.map(({ bytes }) => bytes.toString("base64"))).size).toBe(15);
});

test("readSamplePictures() states the actual type of whole images", () => {
  const found = pictures.map(({ name, bytes }) => {
    const gate = createGate();
    gate.push(bytes);
    const verdict = gate.verdict({ framing: "close", isFramingWhole: false, isHashRight: true });
    return [name, verdict.kind === "whole" ? verdict.image.format : verdict];
  });
  const stated = pictures.map(({ name, mediaType }) => {
    const format = Object.entries(MEDIA_TYPES).find(([, type]) => type === mediaType)?.[0];
    return [name, format];
  });
  expect(found).toEqual(stated);
});

test("readSamplePictures() has formats and names like those of real sites", () => {
  const types = new Set(pictures.map(({ mediaType }) => mediaType));
  expect([...types].sort()).toEqual(["image/avif", "image/gif", "image/jpeg", "image/png", "image/webp"]);
  const names = pictures.map(({ name }) => name);
  expect(names).toContain("晨雾.jpg");
  expect(names).toContain("city at dusk.png");
});

test("readSamplePictures() keeps every picture between 40 and 400 kB", () => {
  for (const { name, bytes } of pictures) {
    expect(bytes.length, name).toBeGreaterThan(40_000);
    expect(bytes.length, name).toBeLessThan(400_000);
  }
});

test("readSamplePictures() has pictures that decode completely, one of them animated", async () => {
  const pages = await Promise.all(
    pictures.map(async ({ bytes }) => {
      const image = sharp(bytes, { failOn: "warning", animated: true });
      await image.raw().toBuffer();
      return (await image.metadata()).pages ?? 1;
    }),
  );
  expect(pages.filter((count) => count > 1)).toEqual([8]);
});

test("the package has the folder of the sample pictures", () => {
  const { files } = JSON.parse(readFileSync(new URL("package.json", ROOT), "utf8")) as { files: string[] };
  expect(files).toContain("config/samples");
});

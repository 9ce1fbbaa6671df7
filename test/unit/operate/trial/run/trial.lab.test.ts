// The page of the trial and what it does, with a real mirror, sample site and named site.
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { App } from "../../../../../src/app.ts";
import type { SamplePicture, SampleSite } from "../../../../../src/operate/trial/run/sample-site.ts";
import { noisyJpeg } from "../../../../helpers/images.ts";
import { eventually } from "../../../../helpers/program.ts";
import { startTrialApp } from "../../../../helpers/trial-app.ts";

const picture = (name: string, bytes: Buffer): SamplePicture => {
  return { name, title: `<b>"${name}`, titleZh: "图", mediaType: "image/jpeg", bytes };
};

let folder: string;
let whole: readonly SamplePicture[];
let server: SampleSite;
let app: App;
let site: Server | undefined;
const undo: (() => Promise<unknown> | unknown)[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "huiyuan-trial-"));
  undo.push(() => rm(folder, { recursive: true, force: true }));
  whole = [picture("a.jpg", await noisyJpeg(64, 64)), picture("晨雾.jpg", await noisyJpeg(65, 64))];
});

afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

async function start(pictures = whole, delayMs = 0): Promise<void> {
  ({ app, server } = await startTrialApp(folder, pictures, delayMs));
  undo.push(server.close, () => app.stop());
}

/**
 * A site with these images, by path, and a home page that shows them. `firstMs`: delay of the first request without the
 * mirror. Returns its URL.
 */
async function startSite(images: Readonly<Record<string, Buffer>>, firstMs = 0): Promise<string> {
  const page = Object.keys(images).map((path) => `<img src="${path}">`);
  let direct = 0;
  site = createServer(async ({ url = "", headers }, response) => {
    if (headers["x-huiyuan-trial"] === "direct" && direct++ === 0) await delay(firstMs);
    if (url === "/") response.end(page.join(""));
    else if (images[url] !== undefined) response.end(images[url]);
    else response.writeHead(404).end();
  }).listen(0, "127.0.0.1");
  await once(site, "listening");
  undo.push(
    () => site?.close(),
    () => site?.closeAllConnections(),
  );
  return `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
}

const admin = () => `http://127.0.0.1:${app.adminPort}`;
const get = (path: string, init?: RequestInit) => fetch(`${admin()}${path}`, init);
async function press(action: string, fields: Readonly<Record<string, string>> = {}, origin = admin()) {
  const body = new URLSearchParams(fields);
  const answer = await get(`/trial/${action}`, { method: "POST", redirect: "manual", headers: { origin }, body });
  return { status: answer.status, location: answer.headers.get("location"), text: await answer.text() };
}
const page = async (query = "", language = "en") =>
  (await get(`/trial${query}`, { headers: { "accept-language": language } })).text();
const partOf = (html: string, id: string) => new RegExp(`id="${id}" data-part>(.*?)</(?:td|p)>`, "s").exec(html)?.[1];
const shownUrl = (key: string, form = "original") => `/trial/picture?key=${encodeURIComponent(key)}&form=${form}`;
const download = async (path: string) => {
  const answer = await fetch(`http://127.0.0.1:${app.downloadPort}/${path}`);
  return { status: answer.status, bytes: Buffer.from(await answer.arrayBuffer()) };
};

test("the page shows the miss, the hit, the origin and the variants, each measured", async () => {
  await start(whole, 60);
  const first = await page();
  expect(partOf(first, "first-time")).toBe("measuring …");
  expect(first).not.toContain('<b>"');
  expect(first).toContain("&lt;b&gt;&quot;a.jpg");
  // The first request is the miss, whichever form is asked for first.
  const answers = [await get(shownUrl("images/a.jpg", "avif"))];
  const others = [
    get(shownUrl("images/a.jpg", "webp")),
    get(shownUrl("images/a.jpg")),
    get("/trial/original?key=images/a.jpg"),
  ];
  answers.push(...(await Promise.all(others)));
  const types = answers.map(({ status, headers }) => [status, headers.get("content-type")]);
  expect(types).toEqual([
    [200, "image/avif"],
    [200, "image/webp"],
    [200, "image/jpeg"],
    [200, "image/jpeg"],
  ]);
  const html = await page();
  const kilobytes = `${Math.round((whole[0]?.bytes.length ?? 0) / 1_000)} kB`;
  for (const row of ["direct", "first", "again"]) expect(partOf(html, `${row}-size`)).toMatch(`${kilobytes}<svg`);
  for (const row of ["direct", "first", "again", "webp", "avif"])
    expect(partOf(html, `${row}-time`)).toMatch(/^[\d.]+ m?s$/);
  expect(partOf(html, "avif-note")).toMatch(/\d+ % (less|more).* · made in [\d.]+ m?s$/);
  expect(partOf(html, "picture-0")).toMatch(/ kB · fetched in [\d.]+ m?s · <b class="good">again in [\d.]+ m?s/);
  expect(partOf(html, "direct-note")).toBe("It waits 60 ms before each answer, as a distant site would.");
  expect(partOf(html, "again-note")).toMatch(/^<b class="good">[\d.,]+ × as fast as asked directly<\/b>$/);
  expect(server.requests()).toBe(1);
  expect(await page("", "zh-CN")).toContain("停止源站");
});

test("the page names the mirror's URL of the picture, and the way to a mirror that stays", async () => {
  await start();
  const url = `http://127.0.0.1:${app.downloadPort}/images/a.jpg`;
  expect(await page()).toContain(`<a href="${url}">${url}</a>`);
  expect(await page()).toContain("huiyuan serve --new</code>");
});

test("the page compares medians, and begins with a picture that WebP and AVIF make smaller", async () => {
  await start();
  const image = await noisyJpeg(64, 64);
  await press("use", { address: await startSite({ "/logo.gif": image, "/photo.jpg": image }, 900) });
  expect(await page()).toContain(": photo.jpg</h2>");
  await get("/trial/original?key=photo.jpg");
  expect(Number(/^(\d+) ms$/.exec(partOf(await page(), "direct-time") ?? "")?.[1])).toBeGreaterThanOrEqual(900);
  await eventually(async () => {
    const [, milliseconds] = /^([\d.]+) ms$/.exec(partOf(await page(), "direct-time") ?? "") ?? [];
    return Number(milliseconds) < 900;
  }, "two more requests without the mirror are faster");
});

test("a stop before the first view waits until the mirror has every picture", async () => {
  await start(whole, 200);
  expect(await press("stop")).toMatchObject({ status: 303, location: "/trial" });
  expect((await fetch(`${server.url}/images/a.jpg`)).status).toBe(503);
  for (const name of ["a.jpg", "晨雾.jpg"]) expect((await get(shownUrl(`images/${name}`))).status).toBe(200);
  const html = await page();
  expect(html).toContain('action="/trial/resume"');
  expect(html).not.toContain('src="/trial/original');
  await press("resume");
  expect((await fetch(`${server.url}/images/a.jpg`)).status).toBe(200);
});

test("a stop that cannot store a picture says so, and the origin serves on", async () => {
  await start([...whole, picture("b.jpg", Buffer.from("no picture"))]);
  const { status, text } = await press("stop");
  expect(status).toBe(400);
  expect(text).toContain('role="alert">The origin still runs: the mirror has 2 of 3 pictures.');
  expect((await fetch(`${server.url}/images/a.jpg`)).status).toBe(200);
});

test("another site is mirrored without a restart, and its pictures are not those of the first one", async () => {
  await start();
  expect((await get(shownUrl("images/a.jpg"))).status).toBe(200);
  const other = await noisyJpeg(30, 30);
  const url = await startSite({ "/images/a.jpg": other, "/gone.jpg": Buffer.from("no picture") });
  expect(await press("use", { address: url })).toMatchObject({ status: 303, location: "/trial" });
  expect(await download("images/a.jpg")).toEqual({ status: 200, bytes: other });
  expect((await get(shownUrl("gone.jpg"))).status).toBe(404);
  const html = await page();
  expect(html).toContain(new URL(url).host);
  expect(html).not.toContain('action="/trial/stop"');
  expect(partOf(html, "picture-1")).toMatch(/class="fault">no picture: \d+</);
  // A path in the field is a picture of the present site.
  const pasted = await press("use", { address: "/images/pasted.jpg" });
  expect(pasted.location).toBe("/trial?picture=images%2Fpasted.jpg");
  expect(await page()).toContain("pasted.jpg");
  // The empty field of the second button leads back.
  await press("use", { address: "" });
  expect(await download("images/a.jpg")).toEqual({ status: 200, bytes: whole[0]?.bytes });
});

test.each([
  ["a name that does not exist", "https://nosuch.invalid", "did not answer, so nothing was changed"],
  ["an address that is never dialled", "http://169.254.169.254", "never dialled"],
  ["a site without pictures", "NONE", "No picture was found on the home page"],
  ["the mirror itself", "MIRROR", "this mirror itself"],
  ["no address", "<script>", "not the address of a web site"],
])("%s is said beside the field, and nothing is changed", async (_claim, address, said) => {
  await start();
  const none = await startSite({});
  const typed = address.replace("NONE", none).replace("MIRROR", `http://localhost:${app.downloadPort}`);
  const { status, text } = await press("use", { address: typed });
  expect(status).toBe(400);
  expect(/id="address-note" role="alert">([^<]*)</.exec(text)?.[1]).toContain(said);
  expect(text).toContain(`value="${typed.replace("<", "&lt;").replace(">", "&gt;")}"`);
  expect((await download("images/a.jpg")).status).toBe(200);
  expect(await page()).toContain('action="/trial/stop"');
});

test("only a form of the page itself changes something, and a GET does not", async () => {
  await start();
  const withoutOrigin = await get("/trial/stop", { method: "POST" });
  expect([withoutOrigin.status, (await press("stop", {}, "http://evil.test")).status]).toEqual([403, 403]);
  expect((await get("/trial/stop")).status).toBe(404);
  expect((await press("use", { address: "a".repeat(20_000) })).status).toBe(413);
  expect(server.isStopped()).toBe(false);
  expect((await get("/trial/original?key=images/other.jpg")).status).toBe(404);
  const { headers } = await get("/trial");
  expect(headers.get("content-security-policy")).toMatch(/^default-src 'none'; .*frame-ancestors 'none'$/);
  expect(headers.get("referrer-policy")).toBe("same-origin");
});

test("the language of the page is kept in the console's cookie", async () => {
  await start();
  const { headers } = await get("/trial/language?to=zh", { redirect: "manual" });
  expect(headers.get("set-cookie")).toMatch(/^huiyuan_language=zh; .*SameSite=Strict$/);
  const answer = await get("/trial", { headers: { cookie: "huiyuan_language=zh" } });
  expect(await answer.text()).toContain('<html lang="zh-Hans">');
});

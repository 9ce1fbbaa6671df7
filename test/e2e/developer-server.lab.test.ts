// docs/examples/developer-server as its reader meets it: `npm run example`, then a browser. The page uploads straight
// to Huiyuan, the callback makes the row, the picture is shown through processing URLs, and it can be deleted.
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openSqlite } from "../../src/core/sqlite.ts";
import { callbackBody } from "../../src/serve/sign/callback.ts";
import { launchBrowser } from "../helpers/browser.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { eventually } from "../helpers/program.ts";
import { freePort, needs } from "../helpers/services.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const SECRETS = { HUIYUAN_SECRET_KEY: "secret-key-of-the-test", CALLBACK_SECRET: "callback-secret-of-the-test" };
const PHONE = { width: 390, height: 844 };
const DESKTOP = { width: 1280, height: 900 };

/** Every test uses a browser with the page open, or continues from such a test. */
const ON_PAGE = needs("chromium");

let folder: string;
let example: ChildProcess;
let output = "";
let address: string;
let images: string;
let browser: Browser;
let context: BrowserContext;
let page: Page;
/** All text responses of the page's server and the image service. */
const said: string[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "huiyuan-example-"));
  const [port, imagePort, adminPort] = await Promise.all([freePort(), freePort(), freePort()]);
  const env = {
    ...process.env,
    ...SECRETS,
    PORT: String(port),
    HUIYUAN_PORT: String(imagePort),
    HUIYUAN_ADMIN_PORT: String(adminPort),
    EXAMPLE_DATA: folder,
  };
  address = `http://127.0.0.1:${port}`;
  images = `http://127.0.0.1:${imagePort}`;
  // A process group of its own: npm, its shell and both servers end together, as with Ctrl-C.
  example = spawn("npm", ["run", "example"], { cwd: ROOT, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  const listen = (text: Buffer) => {
    output += text.toString();
  };
  example.stdout?.on("data", listen);
  example.stderr?.on("data", listen);
  browser = await launchBrowser();
  context = await browser.newContext({ viewport: DESKTOP, reducedMotion: "reduce" });
  page = await context.newPage();
  page.on("response", (response) => {
    const isText = /text|json|javascript/.test(response.headers()["content-type"] ?? "");
    if (isText)
      void response.text().then(
        (text) => said.push(text),
        () => undefined,
      );
  });
  await eventually(() => output.includes(`Pictures:  ${address}`), "the example prints its address", 60_000);
  await page.goto(address);
});
afterAll(async () => {
  await browser?.close();
  if (example?.exitCode === null) {
    const gone = once(example, "exit");
    process.kill(-(example.pid ?? 0), "SIGINT");
    await gone;
  }
  await rm(folder, { recursive: true, force: true });
});

interface Row {
  readonly id: string;
  readonly fileid: string;
  readonly title: string;
  readonly size: number;
  readonly sha1: string;
}

function rows(): readonly Row[] {
  const database = openSqlite(join(folder, "pictures.db"), { readonly: true });
  try {
    return database.prepare<[], Row>("SELECT id, fileid, title, size, sha1 FROM pictures ORDER BY rowid").all();
  } finally {
    database.close();
  }
}

async function choose(name: string, buffer: Buffer, on = page): Promise<void> {
  await on.locator("#files").setInputFiles({ name, mimeType: "image/jpeg", buffer });
}

/** Width, height and type of each image of a picture, once all have loaded. */
async function shown(title: string): Promise<readonly (readonly [number, number, string])[]> {
  const card = page.locator("article", { has: page.getByRole("heading", { name: title, exact: true }) });
  await card.waitFor();
  for (const image of await card.locator("img").all()) await image.scrollIntoViewIfNeeded();
  const facts = () =>
    card
      .locator("img")
      .evaluateAll((all) =>
        (all as unknown as { naturalWidth: number; naturalHeight: number; currentSrc: string }[]).map(
          ({ naturalWidth, naturalHeight, currentSrc }) => [naturalWidth, naturalHeight, currentSrc] as const,
        ),
      );
  const areShown = async () => (await facts()).every(([width]) => width > 0);
  await eventually(areShown, `the images of ${title} are shown`, 60_000);
  return Promise.all(
    (await facts()).map(async ([width, height, source]) => {
      expect(source.startsWith(`${images}/users/`)).toBe(true);
      return [width, height, (await fetch(source)).headers.get("content-type") ?? ""] as const;
    }),
  );
}

const refusals: string[] = [];

test("a picture is uploaded with progress, confirmed by the callback, and shown in every way", ON_PAGE, async () => {
  page.on("console", (message) => message.type() === "error" && refusals.push(message.text()));
  page.on("pageerror", (error) => refusals.push(error.message));
  const jpeg = await noisyJpeg(1600, 1200);
  const network = await context.newCDPSession(page);
  // Four seconds, because a busy browser may be slow; the wait ends as soon as the page has moved.
  const slow = { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: jpeg.byteLength / 4 };
  await network.send("Network.emulateNetworkConditions", slow);
  await choose("lake.jpg", jpeg);
  const bar = page.getByRole("progressbar", { name: "Upload of lake.jpg" });
  const seen = new Set<number>();
  await eventually(
    async () => {
      const value = await bar
        .evaluate((element) => (element as unknown as { value: number }).value)
        .catch(() => undefined);
      if (value !== undefined && value > 0 && value < 1) seen.add(value);
      return value === undefined || seen.size >= 3;
    },
    "the progress moves",
    20_000,
  );
  expect(seen.size).toBeGreaterThanOrEqual(2);
  await network.send("Network.emulateNetworkConditions", { ...slow, uploadThroughput: -1 });
  expect(await shown("lake.jpg")).toEqual([
    [1200, 900, "image/jpeg"],
    [240, 240, "image/jpeg"],
    [480, 360, "image/webp"],
    [480, 360, "image/jpeg"],
  ]);
  const [row] = rows();
  expect(row).toMatchObject({
    title: "lake.jpg",
    size: jpeg.byteLength,
    sha1: createHash("sha1").update(jpeg).digest("hex"),
  });
  expect(output).toContain(`callback: ${row?.fileid} is stored, ${jpeg.byteLength} bytes`);
  expect(await page.getByRole("status").textContent()).toBe("lake.jpg is stored");
  expect(await page.locator("#transfers li").count()).toBe(0);
  expect(refusals).toEqual([]);
});

test("user input is shown as text", ON_PAGE, async () => {
  const title = `"><img src=x onerror="document.title='taken'"><script>document.title='taken'</script>.jpg`;
  await choose(title, await noisyJpeg(300, 200));
  await page.getByRole("heading", { name: title, exact: true }).waitFor();
  await page.reload();
  await page.getByRole("heading", { name: title, exact: true }).waitFor();
  expect(await page.title()).toBe("Pictures");
});

test("a page may send the headers that upload libraries such as Dropzone add", ON_PAGE, async () => {
  const target = `${images}/photos/v2/10001234/photos/0/dropzone.jpg`;
  const answer = await page.evaluate(async (url) => {
    const headers = { "X-Requested-With": "XMLHttpRequest", "Cache-Control": "no-cache", Accept: "application/json" };
    const body = new FormData();
    body.append("FileContent", new Blob(["no picture"]));
    return (await (await fetch(url, { method: "POST", headers, body })).json()) as { code: number };
  }, target);
  // The browser has sent the upload and lets the page read its refusal: the signature is missing.
  expect(answer.code).toBe(-81);
});

test("a file that is no image shows an error and leaves no picture", ON_PAGE, async () => {
  await choose("notes.jpg", Buffer.from("these are no pixels"));
  const row = page.locator("#transfers li", { hasText: "notes.jpg" });
  await row.filter({ hasText: "not a picture that can be read" }).waitFor();
  expect(await page.locator("article").count()).toBe(2);
});

test.each([PHONE, DESKTOP])("fits a window of $width pixels", ON_PAGE, async (size) => {
  await page.setViewportSize(size);
  const widths = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]");
  expect(widths).toEqual([size.width, size.width]);
});

describe("other people", ON_PAGE, () => {
  test("neither see nor delete a picture", async () => {
    const [row] = rows();
    const other = await browser.newContext();
    try {
      const stranger = await other.newPage();
      await stranger.goto(address);
      expect(await stranger.locator("article").count()).toBe(0);
      const api = stranger.request;
      expect((await api.get(`${address}/pictures/${row?.id}`)).status()).toBe(404);
      expect((await api.post(`${address}/pictures/${row?.id}/delete`)).status()).toBe(404);
      expect((await fetch(`${images}/${row?.fileid}`)).status).toBe(403);
    } finally {
      await other.close();
    }
    expect(rows()).toHaveLength(3);
  });

  test("cannot make a visitor's browser post here", async () => {
    const [row] = rows();
    const headers = { origin: "http://evil.test" };
    expect((await context.request.post(`${address}/pictures/${row?.id}/delete`, { headers })).status()).toBe(403);
    expect((await context.request.post(`${address}/permits`, { headers, data: { title: "a" } })).status()).toBe(403);
  });

  test("cannot pretend to be the image service", async () => {
    const [row] = rows();
    const notice = {
      appid: "10001234",
      bucket: "photos",
      fileid: row?.fileid ?? "",
      magicContext: "",
      sha1: "0".repeat(40),
      size: 1,
      url: "http://a/b",
      userid: "0",
      timestamp: Math.floor(Date.now() / 1000),
      attempt: 1,
    };
    const send = (body: string) => fetch(`${address}/callback`, { method: "POST", body });
    expect((await send(callbackBody(notice, "another secret"))).status).toBe(403);
    expect((await send("x".repeat(70_000))).status).toBe(413);
    expect((await send(callbackBody({ ...notice, fileid: "nobody's" }, SECRETS.CALLBACK_SECRET))).status).toBe(404);
    expect(rows()[0]).toEqual(row);
  });

  test.each(["", "{}", "[]", '{"title":7}', '{"title":""}', "{"])("get 400 for the permit %j", async (data) => {
    const headers = { "content-type": "application/json" };
    expect((await context.request.post(`${address}/permits`, { headers, data: Buffer.from(data) })).status()).toBe(400);
  });
});

test("a picture is deleted with the keyboard, after a confirmation", ON_PAGE, async () => {
  const [row] = rows();
  const source = await page.getByRole("img", { name: "lake.jpg", exact: true }).getAttribute("src");
  expect((await fetch(source ?? "")).status).toBe(200);
  const focused = () => page.evaluate("document.activeElement.textContent.trim()");
  await page.locator(`#picture-${row?.id} button`).focus();
  await page.keyboard.press("Enter");
  expect(await focused()).toBe("Keep it");
  await page.keyboard.press("Escape");
  expect(await page.locator(`#picture-${row?.id}`).count()).toBe(1);
  await page.locator(`#picture-${row?.id} button`).focus();
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  expect(await focused()).toBe("Delete");
  await page.keyboard.press("Enter");
  await page.locator(`#picture-${row?.id}`).waitFor({ state: "detached" });
  expect(await page.getByRole("status").textContent()).toBe("lake.jpg is deleted");
  expect(rows().map(({ id }) => id)).not.toContain(row?.id);
  expect((await fetch(source ?? "")).status).toBe(404);
});

test("the keyboard focus reaches the file input first, and is visible", ON_PAGE, async () => {
  await page.reload();
  await page.keyboard.press("Tab");
  expect(await page.evaluate("document.activeElement.id")).toBe("files");
  const ring = await page.locator(".drop").evaluate("(form) => getComputedStyle(form).boxShadow");
  expect(ring).not.toBe("none");
});

test("no secret reaches the browser", ON_PAGE, () => {
  expect(said.length).toBeGreaterThan(5);
  const all = said.join("\n");
  for (const secret of Object.values(SECRETS)) {
    expect(all).not.toContain(secret);
    expect(output).not.toContain(secret);
  }
});

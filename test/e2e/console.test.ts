// The console in Chromium: login, the overview, an image that is deleted and undeleted, previews, signing, origins,
// languages, themes and the accessibility of each page. No page may violate the content security policy or write to
// the browser's console.
import { setTimeout as delay } from "node:timers/promises";
import type { Browser, Page } from "playwright-core";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { launchBrowser } from "../helpers/browser.ts";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { faultsOf, hiddenFocusOf, shiftsOf, watchShifts } from "../helpers/page-faults.ts";
import { type Installation, install, type Program } from "../helpers/program.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { needs } from "../helpers/services.ts";
import { mirrorOf, oneBucket } from "../helpers/settings.ts";

const TOKEN = "the-right-admin-token";
const KEY = "photos/one.jpg";
const IMAGE = `/images/one?${new URLSearchParams({ bucket: "10001234/photos", key: KEY })}`;
const PATIENCE = { timeout: 10_000 };
const BUCKET = ["domains", "access", "processing", "answersTab", "keys", "tryIt"].map(
  (view) => `/buckets/one?${new URLSearchParams({ bucket: "10001234/photos", view })}`,
);
/** Several live figures come in it, and each page loads its own again. */
const WATCHED_MS = 5_000;
const LOGS = ["operations", "usage", "callbacks", "explain"].map((view) => `/logs?view=${view}`);

describe("the console", needs("chromium"), () => {
  let browser: Browser;
  let origin: ScriptedOrigin;
  let installation: Installation;
  let program: Program;

  beforeAll(async () => {
    browser = await launchBrowser();
    const jpeg = await noisyJpeg(60, 40);
    origin = await startScriptedOrigin(async ({ target }, connection) => {
      const isAway = target.includes("away");
      await connection.send(response(isAway ? "" : jpeg, { status: isAway ? "503 Service Unavailable" : "200 OK" }));
    });
    installation = await install(oneBucket(mirrorOf(origin.url), {}, { server: { adminToken: "env:TOKEN" } }));
    program = await installation.start({ env: { TOKEN } });
  });
  afterAll(async () => {
    await browser?.close();
    await program?.kill();
    await installation?.remove();
    await origin?.close();
  });

  async function openConsole(look: object = {}) {
    const context = await browser.newContext({ viewport: { width: 1_280, height: 900 }, locale: "en", ...look });
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on("console", (message) => complaints.push(`${page.url()}: ${message.text()}`));
    page.on("pageerror", (error) => complaints.push(`${page.url()}: ${error}`));
    const go = (path: string) => page.goto(`http://127.0.0.1:${program.adminPort}${path}`);
    await go("/");
    return { page, complaints, go };
  }

  /** Enter submits, and the field has the focus. */
  async function logIn(page: Page) {
    await page.waitForSelector("input[name=token]");
    await page.keyboard.type(TOKEN);
    await page.keyboard.press("Enter");
    await page.waitForSelector(".side nav");
  }
  const download = () => get({ port: program.downloadPort, path: `/${KEY}` });
  const heading = (page: Page) => page.locator("h1").textContent();

  test("an operator logs in, sees live figures, and deletes and undeletes an image", async () => {
    const { page, complaints } = await openConsole();
    await logIn(page);
    expect(await heading(page)).toBe("Overview");
    await page.getByText("Serve the first image").waitFor();
    expect((await download()).status).toBe(200);
    await page.locator(".either > :not(.absent)", { hasText: "live" }).waitFor();
    await page.locator(".figure", { hasText: "Requests" }).getByText("since the start: 1").waitFor();

    await page.getByRole("link", { name: "Images" }).first().click();
    await page.locator(".tile", { hasText: KEY }).click();
    await expect.poll(() => page.evaluate(`document.querySelector(".preview img")?.naturalWidth`), PATIENCE).toBe(60);
    expect(await heading(page)).toBe(KEY);
    await page.getByRole("button", { name: "Delete" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByText(/^Deleted /).waitFor();
    expect((await download()).status).toBe(404);
    await page.getByRole("button", { name: "Undelete" }).click();
    await page.getByText("The bucket does not have this image").waitFor();
    expect((await download()).status).toBe(200);

    await page.getByRole("button", { name: "Log out" }).click();
    await page.waitForSelector("input[name=token]");
    expect(complaints).toEqual([]);
  });

  test("language and theme are switched at once, and are those of the next visit", async () => {
    const { page, complaints, go } = await openConsole();
    await logIn(page);
    await page.getByRole("button", { name: "简体中文" }).click();
    expect(await heading(page)).toBe("概览");
    const light = await page.evaluate("getComputedStyle(document.body).backgroundColor");
    await page.getByRole("button", { name: "明 / 暗" }).click();
    const dark = await page.evaluate("getComputedStyle(document.body).backgroundColor");
    expect(dark).not.toBe(light);
    expect((await download()).status).toBe(200);
    await go("/origins");
    await page.getByText("正常").waitFor();
    expect(await page.evaluate("document.documentElement.lang")).toBe("zh-Hans");
    expect(await page.evaluate("getComputedStyle(document.body).backgroundColor")).toBe(dark);
    expect(complaints).toEqual([]);
  });

  test("figures are marked as old while the stream is lost, and are live again", async () => {
    const { page } = await openConsole();
    await logIn(page);
    const shown = (text: string) => page.locator(".either > :not(.absent)", { hasText: text }).waitFor();
    await shown("live");
    await page.locator(".figure").first().waitFor();
    process.kill(program.pid, "SIGSTOP");
    try {
      await shown("old figures");
      await page.locator(".is-stale .figure").first().waitFor();
    } finally {
      process.kill(program.pid, "SIGCONT");
    }
    await shown("live");
    await page.locator(".is-stale").waitFor({ state: "detached" });
  });

  test("an answer that takes longer than the interval of a poll is shown", async () => {
    const { page, go } = await openConsole();
    await logIn(page);
    await page.route("**/api/v1/origins", async (route) => {
      await delay(3_000);
      await route.continue().catch(() => undefined); // The page has given up.
    });
    await go("/origins");
    await page.locator(".card", { hasText: origin.url }).waitFor(PATIENCE);
  });

  test("controls write a preview, its cost is beside the original's, and a signed URL downloads it", async () => {
    expect((await download()).status).toBe(200);
    const { page, complaints, go } = await openConsole();
    await logIn(page);
    await go(IMAGE);
    const cell = (name: string) => page.getByRole("row", { name }).getByRole("cell").last();
    await page.getByLabel("Size", { exact: true }).selectOption("fit");
    await page.getByLabel("Width (px)").fill("30");
    await page.getByLabel("Width (px)").press("Tab");
    expect(await page.getByLabel("Processing instruction").inputValue()).toBe("imageView2/2/w/30");
    await expect.poll(() => cell("Loaded in").textContent(), PATIENCE).toMatch(/^[\d.]+ m?s$/);
    const preview = page.locator(".card", { has: page.getByRole("heading", { name: "Preview" }) });
    await preview.getByText("30 × 20 px").waitFor();
    await preview.getByText(/\d% smaller/).waitFor();
    await page.getByRole("button", { name: "Make the token" }).click();
    const url = new URL((await page.locator("code", { hasText: "sign=" }).textContent()) ?? "");
    const { status, body } = await get({ port: program.downloadPort, path: url.pathname + url.search });
    expect(status).toBe(200);
    expect((await sharp(body).metadata()).width).toBe(30);
    expect(complaints).toEqual([]);
  });

  test("the page of the origins shows budget, counts, latency and the last failures with their keys", async () => {
    expect((await download()).status).toBe(200);
    expect((await get({ port: program.downloadPort, path: "/photos/away.jpg" })).status).toBeGreaterThan(400);
    const { page, complaints, go } = await openConsole();
    await logIn(page);
    await go("/origins");
    const card = page.locator(".card", { hasText: origin.url });
    await card.getByText("answers", { exact: true }).waitFor();
    await card.getByText(/^0 of \d+$/).waitFor();
    await card.getByText(/^failed: [1-9]/).waitFor();
    const failure = card.getByRole("row").filter({ has: page.getByRole("cell", { name: "photos/away.jpg" }) });
    await failure.getByRole("cell", { name: "503" }).first().waitFor();
    await card.locator(".u-legend").waitFor();
    expect(complaints).toEqual([]);
  });

  test.each(["/", "/origins", "/migrations", "/logs"])("nothing moves on %s while visitors come", async (path) => {
    expect((await download()).status).toBe(200);
    const { page, go } = await openConsole();
    await logIn(page);
    await watchShifts(page);
    await go(path);
    await page.waitForSelector("main h1");
    await expect.poll(() => page.locator(".loading").count(), PATIENCE).toBe(0);
    if (path === "/" || path === "/origins") await page.locator(".u-legend").first().waitFor();
    const atFirst = await shiftsOf(page);
    const until = performance.now() + WATCHED_MS;
    for (let turn = 0; performance.now() < until; turn += 1) {
      await download();
      await get({ port: program.downloadPort, path: `/photos/${turn % 10 === 0 ? "away" : "new"}-${turn}.jpg` });
    }
    const later = await shiftsOf(page);
    const sumOf = (shifts: typeof later) => shifts.reduce((sum, { value }) => sum + value, 0);
    expect(sumOf(later), JSON.stringify(later)).toBeLessThan(0.001);
    expect(sumOf(atFirst), JSON.stringify(atFirst)).toBeLessThan(0.02);
  });

  test.each([
    ["light", { colorScheme: "light" }],
    ["dark", { colorScheme: "dark" }],
    ["phone", { viewport: { width: 390, height: 844 } }],
  ])("no page has a serious fault of accessibility, is too wide, or violates the policy: %s", async (_, look) => {
    expect((await download()).status).toBe(200);
    const { page, complaints, go } = await openConsole(look);
    await page.waitForSelector("input[name=token]");
    const faults = [await faultsOf(page)];
    await logIn(page);
    for (const path of [
      "/",
      "/buckets",
      "/buckets/new",
      ...BUCKET,
      "/images",
      IMAGE,
      "/origins",
      "/migrations",
      ...LOGS,
      "/absent",
    ]) {
      await go(path);
      await page.waitForSelector("main h1");
      await expect.poll(() => page.locator(".loading").count(), PATIENCE).toBe(0);
      if (path === "/") await page.waitForSelector(".u-legend");
      faults.push(await faultsOf(page));
      const count = (selector: string) => page.locator(selector).count();
      expect([path, await count("main"), await count("h1"), await count(".side nav")]).toEqual([path, 1, 1, 1]);
      faults.push(await hiddenFocusOf(page, 20));
    }
    expect(faults.flat()).toEqual([]);
    expect(complaints).toEqual([]);
  });
});

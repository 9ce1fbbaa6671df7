// The console in Chromium: login, the overview, an image that is deleted and undeleted, previews, signing, origins,
// languages and themes. No page may violate the content security policy or write to the browser's console. The walks
// over all pages are in console-looks.lab.test.ts.
import { setTimeout as delay } from "node:timers/promises";
import type { Page } from "playwright-core";
import sharp from "sharp";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type ConsoleLab, IMAGE, KEY, logIn, PATIENCE, startConsoleLab } from "../helpers/console-lab.ts";
import { get } from "../helpers/get.ts";
import { needs } from "../helpers/services.ts";

describe("the console", needs("chromium"), () => {
  let lab: ConsoleLab;
  beforeAll(async () => {
    lab = await startConsoleLab();
  });
  afterEach(() => lab?.closePages());
  afterAll(() => lab?.close());
  const heading = (page: Page) => page.locator("h1").textContent();

  test("an operator logs in, sees live figures, and deletes and undeletes an image", async () => {
    const { page, complaints } = await lab.openConsole();
    await logIn(page);
    expect(await heading(page)).toBe("Overview");
    await page.getByText("Serve the first image").waitFor();
    expect((await lab.download()).status).toBe(200);
    await page.locator(".either > :not(.absent)", { hasText: "live" }).waitFor();
    await page.locator(".figure", { hasText: "Requests" }).getByText("since the start: 1").waitFor();

    await page.getByRole("link", { name: "Images" }).first().click();
    await page.locator(".tile", { hasText: KEY }).click();
    await expect.poll(() => page.evaluate(`document.querySelector(".preview img")?.naturalWidth`), PATIENCE).toBe(60);
    expect(await heading(page)).toBe(KEY);
    await page.getByRole("button", { name: "Delete" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByText(/^Deleted /).waitFor();
    expect((await lab.download()).status).toBe(404);
    await page.getByRole("button", { name: "Undelete" }).click();
    await page.getByText("The bucket does not have this image").waitFor();
    expect((await lab.download()).status).toBe(200);

    await page.getByRole("button", { name: "Log out" }).click();
    await page.waitForSelector("input[name=token]");
    expect(complaints).toEqual([]);
  });

  test("language and theme are switched at once, and are those of the next visit", async () => {
    const { page, complaints, go } = await lab.openConsole();
    await logIn(page);
    await page.getByRole("button", { name: "简体中文" }).click();
    expect(await heading(page)).toBe("概览");
    const light = await page.evaluate("getComputedStyle(document.body).backgroundColor");
    await page.getByRole("button", { name: "明 / 暗" }).click();
    const dark = await page.evaluate("getComputedStyle(document.body).backgroundColor");
    expect(dark).not.toBe(light);
    expect((await lab.download()).status).toBe(200);
    await go("/origins");
    await page.getByText("正常").waitFor();
    expect(await page.evaluate("document.documentElement.lang")).toBe("zh-Hans");
    expect(await page.evaluate("getComputedStyle(document.body).backgroundColor")).toBe(dark);
    expect(complaints).toEqual([]);
  });

  test("figures are marked as old while the server does not answer, and are live again", async () => {
    const { page } = await lab.openConsole();
    await logIn(page);
    const shown = (text: string) => page.locator(".either > :not(.absent)", { hasText: text }).waitFor();
    await shown("live");
    await page.locator(".figure").first().waitFor();
    process.kill(lab.program.pid, "SIGSTOP");
    try {
      await shown("old figures");
      await page.locator(".is-stale .figure").first().waitFor();
    } finally {
      process.kill(lab.program.pid, "SIGCONT");
    }
    await shown("live");
    await page.locator(".is-stale").waitFor({ state: "detached" });
  });

  test("an answer that takes longer than the interval of a poll is shown", async () => {
    const { page, go } = await lab.openConsole();
    await logIn(page);
    await page.route("**/api/v1/origins", async (route) => {
      await delay(3_000);
      await route.continue().catch(() => undefined); // The page has given up.
    });
    await go("/origins");
    await page.locator(".card", { hasText: lab.origin.url }).waitFor(PATIENCE);
  });

  test("controls write a preview, its cost is beside the original's, and a signed URL downloads it", async () => {
    expect((await lab.download()).status).toBe(200);
    const { page, complaints, go } = await lab.openConsole();
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
    const { status, body } = await get({ port: lab.program.downloadPort, path: url.pathname + url.search });
    expect(status).toBe(200);
    expect((await sharp(body).metadata()).width).toBe(30);
    expect(complaints).toEqual([]);
  });

  test("the page of the origins shows budget, counts, latency and the last failures with their keys", async () => {
    expect((await lab.download()).status).toBe(200);
    expect((await get({ port: lab.program.downloadPort, path: "/photos/away.jpg" })).status).toBeGreaterThan(400);
    const { page, complaints, go } = await lab.openConsole();
    await logIn(page);
    await go("/origins");
    const card = page.locator(".card", { hasText: lab.origin.url });
    await card.getByText("answers", { exact: true }).waitFor();
    await card.getByText(/^0 of \d+$/).waitFor();
    await card.getByText(/^failed: [1-9]/).waitFor();
    const failure = card.getByRole("row").filter({ has: page.getByRole("cell", { name: "photos/away.jpg" }) });
    await failure.getByRole("cell", { name: "503" }).first().waitFor();
    await card.locator(".u-legend").waitFor();
    expect(complaints).toEqual([]);
  });
});

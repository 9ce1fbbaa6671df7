// All pages of the console in Chromium: none moves while visitors come, and none has a serious fault of accessibility,
// is too wide, violates the content security policy or writes to the browser's console.
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type ConsoleLab, IMAGE, logIn, PATIENCE, startConsoleLab } from "../helpers/console-lab.ts";
import { get } from "../helpers/get.ts";
import { faultsOf, hiddenFocusOf, shiftsOf, watchShifts } from "../helpers/page-faults.ts";
import { needs } from "../helpers/services.ts";

const BUCKET = ["domains", "access", "processing", "answersTab", "keys", "tryIt"].map(
  (view) => `/buckets/one?${new URLSearchParams({ bucket: "10001234/photos", view })}`,
);
/** Several live figures come in it, and each page loads its own again. */
const WATCHED_MS = 5_000;
const SETTINGS = ["server", "limits", "projects", "store"].map((view) => `/settings?view=${view}`);
const LOGS = ["operations", "usage", "callbacks", "explain"].map((view) => `/logs?view=${view}`);

describe("the pages of the console", needs("chromium"), () => {
  let lab: ConsoleLab;
  beforeAll(async () => {
    lab = await startConsoleLab();
  });
  afterEach(() => lab?.closePages());
  afterAll(() => lab?.close());

  test.each(["/", "/origins", "/migrations", "/logs"])("nothing moves on %s while visitors come", async (path) => {
    expect((await lab.download()).status).toBe(200);
    const { page, go } = await lab.openConsole();
    await logIn(page);
    await watchShifts(page);
    await go(path);
    await page.waitForSelector("main h1");
    await expect.poll(() => page.locator(".loading").count(), PATIENCE).toBe(0);
    if (path === "/" || path === "/origins") await page.locator(".u-legend").first().waitFor();
    const atFirst = await shiftsOf(page);
    const until = performance.now() + WATCHED_MS;
    for (let turn = 0; performance.now() < until; turn += 1) {
      await lab.download();
      await get({ port: lab.program.downloadPort, path: `/photos/${turn % 10 === 0 ? "away" : "new"}-${turn}.jpg` });
      await delay(50);
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
    expect((await lab.download()).status).toBe(200);
    const { page, complaints, go } = await lab.openConsole(look);
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
      ...SETTINGS,
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

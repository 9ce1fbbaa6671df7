// The page of `huiyuan try` in Chromium: the switch of the sample site at once after the start, with and without the
// page's script and with a slow origin, the slider, the figures, and a named site.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { readSamplePictures } from "../../src/operate/trial/run/sample-site.ts";
import { launchBrowser } from "../helpers/browser.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { faultsOf, shiftsOf, watchShifts } from "../helpers/page-faults.ts";
import { PROGRAM, within } from "../helpers/program.ts";
import { needs } from "../helpers/services.ts";
import { startTrialApp } from "../helpers/trial-app.ts";

let browser: Browser;
let trial: ChildProcess | undefined;
const undo: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  if (trial?.exitCode === null) {
    trial.kill("SIGINT");
    await once(trial, "exit");
  }
  for (const step of undo.splice(0).reverse()) await step();
});

/** Starts `huiyuan try`; resolves with the URL of its page. */
async function startTrial(...args: string[]): Promise<string> {
  const command = [PROGRAM, "try", "--port", "0", "--admin-port", "0", "--json", ...args];
  const child = spawn(process.execPath, command, { stdio: ["ignore", "pipe", "inherit"] });
  trial = child;
  const [line] = await within(once(createInterface(child.stdout), "line"), 30_000, () => "the trial did not start");
  return JSON.parse(line as string).galleryUrl;
}

interface Visit {
  readonly page: Page;
  /** Messages of the page's console, such as a violated policy. */
  readonly complaints: readonly string[];
}

async function openPage(url: string, { javaScriptEnabled = true, width = 390 } = {}): Promise<Visit> {
  const context = await browser.newContext({ javaScriptEnabled, viewport: { width, height: 844 } });
  const page = await context.newPage();
  const complaints: string[] = [];
  await watchShifts(page);
  page.on("console", (message) => complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.goto(url, { waitUntil: "commit" });
  await page.waitForSelector("#processed");
  return { page, complaints };
}

/** Writes each text of the disabled button to the console. */
const REPORT_BUTTON = `
  const button = document.querySelector('[action="/trial/stop"] button');
  new MutationObserver(() => button.disabled && console.log(button.textContent)).observe(button, { childList: true });
`;

/** The number of originals in the gallery that the browser shows. */
const shownOn = (page: Page) =>
  page.evaluate(
    `[...document.querySelectorAll('.tiles img[src$="form=original"]')].filter((image) => image.naturalWidth > 0).length`,
  );

describe("the trial's page", needs("chromium"), () => {
  beforeAll(async () => {
    browser = await launchBrowser();
  });
  afterAll(() => browser.close());

  test.each([
    ["with", true],
    ["without", false],
  ])("“Stop the origin” at once, %s the page's script, loses no picture", async (_claim, javaScriptEnabled) => {
    const { page, complaints } = await openPage(await startTrial(), { javaScriptEnabled });
    await page.click("text=Stop the origin");
    await page.waitForSelector(".badge:text('Stopped: answers 503')", { timeout: 30_000 });
    await page.reload({ waitUntil: "load" });
    expect(await shownOn(page)).toBe(15);
    expect(complaints).toEqual([]);
  });

  test("a slow origin is stopped only when the mirror has every picture, and the button says what it waits for", async () => {
    const folder = await mkdtemp(join(tmpdir(), "huiyuan-slow-"));
    undo.push(() => rm(folder, { recursive: true, force: true }));
    const { app, server } = await startTrialApp(folder, await readSamplePictures(), 3_000);
    undo.push(server.close, () => app.stop());
    const { page, complaints } = await openPage(`http://127.0.0.1:${app.adminPort}/trial`);
    await page.evaluate(REPORT_BUTTON);
    await page.click("text=Stop the origin", { noWaitAfter: true });
    await page.waitForSelector(".badge:text('Stopped: answers 503')", { timeout: 30_000 });
    await page.reload({ waitUntil: "load" });
    expect(await shownOn(page)).toBe(15);
    expect(complaints).toContainEqual("Storing the pictures …");
  });

  test("the page has a slider for the keyboard, takes figures without a reload, and leads to the console", async () => {
    const { page, complaints } = await openPage(await startTrial(), { width: 1_280 });
    await page.locator("#avif-note", { hasText: /% (less|more)/ }).waitFor();
    for (const row of ["direct", "first", "again", "webp", "avif"])
      await page.locator(`#${row}-time`, { hasText: /^[\d.]+ m?s$/ }).waitFor();
    expect(await shiftsOf(page)).toEqual([]);
    const place = () => page.evaluate("document.querySelector('.slider').style.getPropertyValue('--at')");
    expect(await place()).toBe("50%");
    await page.getByRole("slider").focus();
    await page.keyboard.press("End");
    expect(await place()).toBe("100%");
    expect(await faultsOf(page)).toEqual([]);
    await page.setViewportSize({ width: 390, height: 844 });
    expect(await faultsOf(page)).toEqual([]);
    const entries = ["Overview", "Images", "Origins", "Logs", "Trial"];
    expect((await page.locator("nav a").allTextContents()).map((text) => text.trim())).toEqual(entries);
    await page.getByRole("link", { name: "Overview" }).click();
    // Not what needs a settings file.
    await page.getByText("Bytes stored").waitFor();
    expect(await page.locator("nav a").allTextContents()).toEqual(entries);
    expect(await page.getByText("Last backup").count()).toBe(0);
    await page.getByRole("link", { name: "Logs" }).click();
    expect(await page.locator(".tabs a").allTextContents()).toEqual(["Operations", "Usage", "Explain"]);
    await page.getByRole("link", { name: "Trial" }).click();
    await page.getByRole("link", { name: "简体中文" }).click();
    await page.getByRole("heading", { level: 1, name: "只回源一次，之后由镜像提供" }).waitFor();
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(390);
    expect(complaints).toEqual([]);
  });

  test("a site that is typed into the page has its own gallery, and one from its field", async () => {
    const image = await noisyJpeg(320, 240);
    const requests: string[] = [];
    const server: Server = createServer((request, response) => {
      if (request.url === "/") return void response.end('<img src="/a.jpg"><img src="x/%E5%9B%BE.jpg">');
      if (request.headers["x-huiyuan-trial"] === undefined) requests.push(request.url ?? "");
      response.end(image);
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    undo.push(async () => server.close());
    undo.push(async () => server.closeAllConnections());
    const siteUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { page, complaints } = await openPage(await startTrial());
    await page.getByLabel("Address of your site").fill("http://nosuch.invalid");
    await page.keyboard.press("Enter");
    await page.getByText("did not answer, so nothing was changed").waitFor({ timeout: 30_000 });
    await page.getByLabel("Address of your site").fill(siteUrl);
    await page.keyboard.press("Enter");
    await page.getByText("2 of 2 pictures are stored").waitFor({ timeout: 30_000 });
    expect(await page.locator("[id^=picture-]").allTextContents()).toEqual([
      expect.stringMatching(/ kB · fetched in [\d.]+ m?s · again in [\d.]+ m?s$/),
      expect.stringMatching(/ kB · fetched in [\d.]+ m?s · again in [\d.]+ m?s$/),
    ]);
    expect(await shownOn(page)).toBe(2);
    await page.getByLabel("Address of your site").fill(`${siteUrl}/pasted.jpg`);
    await page.keyboard.press("Enter");
    await page.getByText("3 of 3 pictures are stored").waitFor({ timeout: 30_000 });
    expect(await shownOn(page)).toBe(3);
    // Requests of the page that was left may have been on their way.
    expect(requests.filter((path) => !path.startsWith("/images/")).sort()).toEqual([
      "/a.jpg",
      "/pasted.jpg",
      "/x/%E5%9B%BE.jpg",
    ]);
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(390);
    // The refused address, and pictures of the page that was left.
    expect(complaints.filter((text) => !/status of 40[04]/.test(text))).toEqual([]);
  });
});

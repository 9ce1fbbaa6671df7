// The pages of `huiyuan try` in Chromium: the switch of the sample site at once after the start, with and without the
// page's script and with a slow origin, and the gallery of a named site.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createInterface } from "node:readline";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { readSamplePictures } from "../../src/cli/trial/sample-pictures.ts";
import { startSampleSite } from "../../src/cli/trial/sample-site.ts";
import { launchBrowser } from "../helpers/browser.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { install, PROGRAM, within } from "../helpers/program.ts";
import { needs } from "../helpers/services.ts";

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

/** Starts `huiyuan try`; resolves with the URL of its gallery. */
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

async function openPage(url: string, javaScriptEnabled = true): Promise<Visit> {
  const context = await browser.newContext({ javaScriptEnabled, viewport: { width: 390, height: 844 } });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("console", (message) => complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.goto(url, { waitUntil: "commit" });
  await page.waitForSelector("footer");
  return { page, complaints };
}

/** Writes each text of the disabled button to the console. */
const REPORT_BUTTON = `
  const button = document.querySelector("aside button");
  new MutationObserver(() => button.disabled && console.log(button.textContent)).observe(button, { childList: true });
`;

/** The pictures of the gallery that the browser shows. */
const shownOn = (page: Page) =>
  page.locator("main img").evaluateAll((images) => images.filter((image) => image.naturalWidth > 0).length);

describe("the trial's pages", needs("chromium"), () => {
  beforeAll(async () => {
    browser = await launchBrowser();
  });
  afterAll(() => browser.close());

  test.each([
    ["with", true],
    ["without", false],
  ])("“Stop the origin” at once, %s the page's script, loses no picture", async (_claim, hasScript) => {
    const { page, complaints } = await openPage(await startTrial(), hasScript);
    await page.click("text=Stop the origin");
    await page.waitForSelector("text=Stopped: answers 503", { timeout: 30_000 });
    await page.reload({ waitUntil: "load" });
    expect(await shownOn(page)).toBe(15);
    expect(complaints).toEqual([]);
  });

  test("a slow origin is stopped only when the mirror has every picture, and the page counts them", async () => {
    const pictures = await readSamplePictures();
    let downloadPort = 0;
    const mirrorUrl = (name: string) => `http://127.0.0.1:${downloadPort}/images/${encodeURIComponent(name)}`;
    const site = await startSampleSite({ pictures, mirrorUrl, delayMs: 3_000 });
    undo.push(() => site.close());
    const origins = [{ type: "site", url: site.url, allowPrivate: true }];
    const keys = [{ secretId: `AKID${"a".repeat(32)}`, secretKey: "k".repeat(32) }];
    const buckets = [{ name: "open", domains: [{ host: "*", mirror: { origins } }] }];
    const installation = await install({ projects: [{ appid: "10001234", keys, buckets }] });
    undo.push(() => installation.remove());
    const program = await installation.start();
    undo.push(() => program.stop());
    downloadPort = program.downloadPort;
    const { page, complaints } = await openPage(site.url);
    await page.evaluate(REPORT_BUTTON);
    await page.click("text=Stop the origin", { noWaitAfter: true });
    await page.waitForSelector("text=Stopped: answers 503", { timeout: 30_000 });
    await page.reload({ waitUntil: "load" });
    expect(await shownOn(page)).toBe(15);
    expect(complaints).toContainEqual(expect.stringMatching(/^Storing the pictures: \d+ of 15 …$/));
  });

  test("the gallery of a named site shows its pictures as fetched, then as stored, and one from its field", async () => {
    const image = await noisyJpeg(320, 240);
    let requests = 0;
    const server: Server = createServer((request, response) => {
      if (request.url === "/") return void response.end('<img src="/a.jpg"><img src="x/%E5%9B%BE.jpg">');
      requests += 1;
      response.end(image);
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    undo.push(async () => server.close());
    undo.push(async () => server.closeAllConnections());
    const siteUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { page, complaints } = await openPage(await startTrial(siteUrl));
    await page.waitForLoadState("load");
    // The trial itself has fetched the first one.
    expect(await page.locator(".came.fetched").allTextContents()).toEqual([
      expect.stringMatching(/^fetched from the site · [\d.]+ ms$/),
    ]);
    await page.reload({ waitUntil: "load" });
    expect(await page.locator(".came.kept").allTextContents()).toEqual([
      expect.stringMatching(/^stored · [\d.]+ ms \(fetched in [\d.]+ ms\)$/),
      expect.stringMatching(/^stored · [\d.]+ ms \(fetched in [\d.]+ ms\)$/),
    ]);
    expect(await shownOn(page)).toBe(2);
    await page.fill("#picture", `${siteUrl}/pasted.jpg`);
    await page.click("text=Show it");
    await page.waitForSelector("text=pasted.jpg");
    await page.waitForLoadState("load");
    expect(await shownOn(page)).toBe(3);
    expect(requests).toBe(3);
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(390);
    expect(complaints).toEqual([]);
  });
});

// One bucket with its console in Chromium, for the tests of all its pages.
import type { Browser, Page } from "playwright-core";
import { launchBrowser } from "./browser.ts";
import { type GetResult, get } from "./get.ts";
import { noisyJpeg } from "./images.ts";
import { install, type Program } from "./program.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "./scripted-origin.ts";
import { mirrorOf, oneBucket } from "./settings.ts";

const TOKEN = "the-right-admin-token";
/** The key that download() fetches. */
export const KEY = "photos/one.jpg";
/** The page of its image. */
export const IMAGE = `/images/one?${new URLSearchParams({ bucket: "10001234/photos", key: KEY })}`;
export const PATIENCE = { timeout: 10_000 };

export interface ConsoleLab {
  readonly browser: Browser;
  /** Answers with an image, and with 503 for a key that contains `away`. */
  readonly origin: ScriptedOrigin;
  readonly program: Program;
  readonly download: () => Promise<GetResult>;
  /** Opens the login page in a window of its own. `complaints`: what the page writes to the browser's console. */
  openConsole(look?: object): Promise<OpenConsole>;
  /** A page draws its live figures for as long as it is open. */
  closePages(): Promise<void>;
  close(): Promise<void>;
}

export interface OpenConsole {
  readonly page: Page;
  readonly complaints: readonly string[];
  readonly go: (path: string) => Promise<unknown>;
}

/** The caller closes it. */
export async function startConsoleLab(): Promise<ConsoleLab> {
  const browser = await launchBrowser();
  const jpeg = await noisyJpeg(60, 40);
  const origin = await startScriptedOrigin(async ({ target }, connection) => {
    const isAway = target.includes("away");
    await connection.send(response(isAway ? "" : jpeg, { status: isAway ? "503 Service Unavailable" : "200 OK" }));
  });
  const installation = await install(oneBucket(mirrorOf(origin.url), {}, { server: { adminToken: "env:TOKEN" } }));
  const program = await installation.start({ env: { TOKEN } });
  return {
    ...{ browser, origin, program },
    download: () => get({ port: program.downloadPort, path: `/${KEY}` }),
    async openConsole(look = {}) {
      const context = await browser.newContext({ viewport: { width: 1_280, height: 900 }, locale: "en", ...look });
      const page = await context.newPage();
      const complaints: string[] = [];
      page.on("console", (message) => complaints.push(`${page.url()}: ${message.text()}`));
      page.on("pageerror", (error) => complaints.push(`${page.url()}: ${error}`));
      const go = (path: string) => page.goto(`http://127.0.0.1:${program.adminPort}${path}`);
      await go("/");
      return { page, complaints, go };
    },
    async closePages() {
      await Promise.all(browser.contexts().map((context) => context.close()));
    },
    async close() {
      await browser.close();
      await program.kill();
      await installation.remove();
      await origin.close();
    },
  };
}

/** Enter submits, and the field has the focus. */
export async function logIn(page: Page): Promise<void> {
  await page.waitForSelector("input[name=token]");
  await page.keyboard.type(TOKEN);
  await page.keyboard.press("Enter");
  await page.waitForSelector(".side nav");
}

// The component sheet in Chromium: each part of the console in each state, with long names, in both languages and
// themes and at phone width. Boxes are compared, not pixels, because letters differ between machines.
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import sharp from "sharp";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { launchBrowser } from "../helpers/browser.ts";
import { faultsOf, hiddenFocusOf, overlapsOf } from "../helpers/page-faults.ts";
import { needs } from "../helpers/services.ts";

const pathOf = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const SHEET = "http://sheet.example/";
/** Photographs are kept there; without it they are only looked at. */
const FOLDER = process.env.SHEET_FOLDER;
const WIDE = { width: 1_280, height: 900 };
const PHONE = { width: 390, height: 844 };

test("the sheet has every part", async () => {
  const parts = await readdir(pathOf("src/operate/console/parts"));
  const sources = await Promise.all(parts.map((name) => readFile(pathOf(`src/operate/console/parts/${name}`), "utf8")));
  const names = sources.flatMap((text) => [...text.matchAll(/^export function (\w+)/gm)].map(([, name]) => name ?? ""));
  expect(names).toContain("Plot");
  const sheet = await readFile(pathOf("test/console-sheet/sheet.tsx"), "utf8");
  expect(names.filter((name) => !sheet.includes(`<${name}`))).toEqual([]);
});

describe("the component sheet", needs("chromium"), () => {
  let browser: Browser;
  let files: ReadonlyMap<string, string>;
  const complaints: string[] = [];

  beforeAll(async () => {
    browser = await launchBrowser();
    files = await built();
  });
  afterAll(() => browser?.close());

  async function openSheet(language: string, look: object): Promise<Page> {
    const page = await (await browser.newContext(look)).newPage();
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("console", (message) => complaints.push(message.text()));
    const [script = "", style = ""] = [".js", ".css"].map((end) =>
      [...files.keys()].find((name) => name.endsWith(end)),
    );
    await page.route(`${SHEET}**`, async (route) => {
      const name = new URL(route.request().url()).pathname.slice(1);
      if (name !== "") return await route.fulfill({ contentType: typeOf(name), body: files.get(name) ?? "" });
      const head = `<title>Sheet</title><link rel="icon" href="data:,"><link rel="stylesheet" href="${style}">`;
      const body = `<div id="console"></div><script type="module" src="${script}"></script>`;
      const text = `<!doctype html><html lang="${language}"><head>${head}</head><body>${body}</body></html>`;
      await route.fulfill({ contentType: "text/html; charset=utf-8", body: text });
    });
    await page.goto(SHEET);
    await page.locator(".u-legend").nth(1).waitFor();
    return page;
  }

  test.each([
    ["light, English", "en", { viewport: WIDE, colorScheme: "light" }],
    ["dark, Chinese", "zh-Hans", { viewport: WIDE, colorScheme: "dark" }],
    ["phone, English", "en", { viewport: PHONE, colorScheme: "dark" }],
    ["phone, Chinese", "zh-Hans", { viewport: PHONE, colorScheme: "light" }],
  ])("no text is cut, overlaps or is too faint, and every focus shows: %s", async (name, language, look) => {
    const page = await openSheet(language, look);
    try {
      expect(await faultsOf(page)).toEqual([]);
      expect(await overlapsOf(page)).toEqual([]);
      const photograph = await page.screenshot({ fullPage: true });
      if (FOLDER !== undefined) await mkdir(FOLDER, { recursive: true });
      if (FOLDER !== undefined) await writeFile(join(FOLDER, `${name.replace(", ", "-")}.png`), photograph);
      // The theme is in force, and there is something to see.
      const [{ mean = 0, stdev = 0 } = {}] = (await sharp(photograph).greyscale().stats()).channels;
      expect(stdev).toBeGreaterThan(8);
      if (look.colorScheme === "dark") expect(mean).toBeLessThan(80);
      else expect(mean).toBeGreaterThan(190);
      expect(await hiddenFocusOf(page)).toEqual([]);
      await page
        .getByRole("button", { name: language === "en" ? "Photographs" : "图片空间", exact: true })
        .nth(4)
        .click();
      await page.locator("dialog[open]").waitFor();
      expect(await faultsOf(page)).toEqual([]);
      expect(complaints).toEqual([]);
    } finally {
      await page.context().close();
    }
  });
});

/** The sheet's files by their names. */
async function built(): Promise<ReadonlyMap<string, string>> {
  // Vite would add an entry to those of the file.
  const { default: config } = await import("../../config/console.vite.ts");
  const rollupOptions = { ...config.build?.rollupOptions, input: pathOf("test/console-sheet/sheet.tsx") };
  const own = { configFile: false, base: "/", build: { ...config.build, write: false, rollupOptions } } as const;
  const result = await build({ ...config, ...own });
  const outputs = [result].flat().flatMap((each) => ("output" in each ? each.output : []));
  return new Map(outputs.map((file) => [file.fileName, file.type === "chunk" ? file.code : String(file.source)]));
}

function typeOf(name: string): string {
  return name.endsWith(".css") ? "text/css" : "text/javascript";
}

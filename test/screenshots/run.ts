// `npm run screenshots [FOLDER [NAME …]]`: photographs the console of a small shop into docs/images/. It needs a build
// and Chromium, and takes about six minutes, because a plot shows the last five. With names it makes only those, and no
// plots.
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Browser, Page } from "playwright-core";
import sharp from "sharp";
import { launchBrowser } from "../helpers/browser.ts";
import { openScene, type Scene, startTrial } from "./scene.ts";

const folder = resolve(process.argv[2] ?? "docs/images");
const names = process.argv.slice(3);
/** Seconds of figures on the plots. */
const SECONDS = Number(process.env.PLOT_SECONDS ?? 300);
const WIDE = { width: 1_280, height: 880 };
const PHONE = { width: 390, height: 844 };
/** Chromium's own sans is DejaVu's on a bare machine. */
const FONTS = ':root { --sans: Inter, "Noto Sans", "Noto Sans CJK SC", sans-serif }';
const IMAGE = `/images/one?${new URLSearchParams({ bucket: "10001234/photos", key: "2026/autumn/autumn-lake.jpg" })}`;

interface Shot {
  readonly name: string;
  readonly path: string;
  readonly look: "light" | "dark";
  readonly locale: "en" | "zh-CN";
  readonly size?: typeof WIDE;
  readonly act?: (page: Page) => Promise<void>;
}

const SHOTS: readonly Shot[] = [
  { name: "buckets", path: "/buckets", look: "light", locale: "en" },
  { name: "wizard", path: "/buckets/new", look: "light", locale: "en" },
  { name: "wizard-zh-phone", path: "/buckets/new", look: "light", locale: "zh-CN", size: PHONE },
  { name: "images", path: "/images", look: "light", locale: "en" },
  { name: "images-phone", path: "/images", look: "dark", locale: "en", size: PHONE },
  { name: "image", path: IMAGE, look: "light", locale: "en", act: processed },
  { name: "image-dark-zh", path: IMAGE, look: "dark", locale: "zh-CN", act: processed },
  { name: "migration", path: "/migrations", look: "dark", locale: "en" },
  { name: "explain", path: "/logs?view=explain", look: "light", locale: "en", act: explained },
  { name: "log-zh", path: "/logs?view=operations", look: "light", locale: "zh-CN" },
];

async function processed(page: Page): Promise<void> {
  await page.locator("select").nth(0).selectOption("cover");
  await page.locator("input[type=number]").nth(0).fill("480");
  await page.locator("input[type=number]").nth(1).fill("320");
  await page.keyboard.press("Tab");
  await page.waitForFunction("document.querySelector('.preview img')?.naturalWidth === 480");
}

async function explained(page: Page): Promise<void> {
  await page.locator("main input[name=url]").fill("http://images.shop.example/2026/autumn/lighthouse.jpg!card");
  await page.locator("main button[type=submit]").click();
  await page.waitForSelector(".steps");
}

/** A page that shows the names that a real shop would have. */
async function openPage(
  browser: Browser,
  { names }: Pick<Scene, "names">,
  { look, locale, size = WIDE }: Omit<Shot, "name" | "path">,
) {
  const context = await browser.newContext({
    viewport: size,
    colorScheme: look,
    locale,
    deviceScaleFactor: 1.5,
    bypassCSP: true,
  });
  const page = await context.newPage();
  // Text, because a compiled function would need the compiler's helpers.
  await page.addInitScript(`
    const parse = JSON.parse;
    const renamed = (text) => ${JSON.stringify(Object.entries(names))}.reduce((rest, pair) => rest.replaceAll(...pair), text);
    JSON.parse = (text) => parse(renamed(text));
    addEventListener("DOMContentLoaded", () => {
      document.head.append(Object.assign(document.createElement("style"), { textContent: ${JSON.stringify(FONTS)} }));
    });
    Response.prototype.json = async function () { return JSON.parse(await this.text()); };
  `);
  return page;
}

async function keep(page: Page, name: string): Promise<void> {
  await page.evaluate("document.fonts.ready");
  await page.waitForFunction(
    "[...document.images].every((image) => image.complete || image.getBoundingClientRect().top > innerHeight)",
  );
  await page.evaluate("document.activeElement?.blur(); scrollTo(0, 0)");
  await page.mouse.move(0, 0);
  const picture = await page.screenshot();
  await sharp(picture)
    .webp({ quality: 74, effort: 6, smartSubsample: true })
    .toFile(join(folder, `console-${name}.webp`));
  console.log(name);
}

/** Before anything else runs, because the page shows milliseconds. */
async function photographTrial(browser: Browser): Promise<void> {
  const { url, close } = await startTrial();
  try {
    for (const [name, look, locale, size] of [
      ["trial", "light", "en", WIDE],
      ["trial-dark", "dark", "en", WIDE],
      ["trial-zh", "light", "zh-CN", WIDE],
      ["trial-dark-zh", "dark", "zh-CN", WIDE],
      ["trial-phone", "light", "en", PHONE],
    ] as const) {
      const page = await openPage(browser, { names: {} }, { look, locale, size });
      await page.goto(url);
      // The page has the sizes of WebP and AVIF then.
      await page.waitForFunction("document.body.innerText.match(/\\d ?%/g)?.length >= 2");
      await delay(2_000);
      await keep(page, name);
      await page.context().close();
    }
  } finally {
    await close();
  }
}

async function photograph(browser: Browser, scene: Scene, shot: Shot): Promise<void> {
  const page = await openPage(browser, scene, shot);
  await page.goto(scene.adminUrl + shot.path);
  await page.waitForSelector("main h1");
  await page.waitForFunction("document.querySelectorAll('.loading').length === 0");
  await shot.act?.(page);
  await delay(500);
  await keep(page, shot.name);
  await page.context().close();
}

/** One page is open for all plots, so that they are full. */
async function photographPlots(page: Page): Promise<void> {
  const looks = [
    ["", "light", WIDE],
    ["-dark", "dark", WIDE],
    ["-phone", "light", PHONE],
  ] as const;
  for (const [suffix, colorScheme, size] of looks) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize(size);
    await delay(2_000);
    await keep(page, `overview${suffix}`);
  }
  await page.setViewportSize(WIDE);
  await page.locator(".side nav a[href='/origins']").click();
  await page.waitForSelector(".u-legend");
  await delay(2_000);
  await keep(page, "origins");
  await page.locator(".side footer button").first().click();
  await page.locator(".side nav a[href='/']").click();
  await page.waitForSelector(".u-legend");
  for (const [name, colorScheme] of [
    ["overview-zh", "light"],
    ["overview-dark-zh", "dark"],
  ] as const) {
    await page.emulateMedia({ colorScheme });
    await delay(2_000);
    await keep(page, name);
  }
}

await mkdir(folder, { recursive: true });
const browser = await launchBrowser();
if (names.length === 0 || names.includes("trial")) await photographTrial(browser);
const scene = await openScene();
try {
  const opened = Date.now();
  const overview = await openPage(browser, scene, { look: "light", locale: "en" });
  await overview.goto(scene.adminUrl);
  for (const shot of SHOTS) if (names.length === 0 || names.includes(shot.name)) await photograph(browser, scene, shot);
  if (names.length === 0) await delay(Math.max(0, SECONDS * 1_000 - (Date.now() - opened)));
  if (names.length === 0) await photographPlots(overview);
} finally {
  await scene.close();
  await browser.close();
}

// The first ten minutes with the console in Chromium, as a person spends them. They are the trial, a bucket by the
// wizard, a signed URL, an upload, processing, a migration, a purge, and settings that are edited by hand meanwhile.
// After each step the download port is asked for the bytes.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Browser, Page } from "playwright-core";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { launchBrowser } from "../helpers/browser.ts";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { type Installation, install, PROGRAM, type Program, within } from "../helpers/program.ts";
import { freePort, type Nginx, needs, startNginx } from "../helpers/services.ts";
import { APPID, KEYS } from "../helpers/settings.ts";

const PATIENCE = { timeout: 20_000 };
const CAT = "2015/cat.jpg";

describe("the first ten minutes", needs("chromium", "nginx"), () => {
  let browser: Browser;
  let page: Page;
  let installation: Installation;
  let program: Program;
  let site: Nginx;
  const images: Record<"cat" | "upload" | "old" | "newCat", Buffer> = {} as never;
  const complaints: string[] = [];

  beforeAll(async () => {
    installation = await install({});
    const folder = (name: string) => join(installation.folder, name);
    for (const [index, name] of (["cat", "upload", "old", "newCat"] as const).entries())
      images[name] = await noisyJpeg(60 + index, 40);
    await mkdir(folder("site/2015"), { recursive: true });
    await mkdir(folder("history/2009/夏"), { recursive: true });
    await writeFile(folder(`site/${CAT}`), images.cat);
    await writeFile(folder("history/2009/夏/old.jpg"), images.old);
    site = await startNginx({ root: folder("site") });
    await writeFile(installation.file, await settingsOf(folder("history"), installation.data));
    program = await installation.start();
    browser = await launchBrowser();
    const context = await browser.newContext({ viewport: { width: 1_280, height: 900 }, locale: "en" });
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    page = await context.newPage();
    page.setDefaultTimeout(PATIENCE.timeout);
    // The browser writes a line for each call that is refused, as that on a file which was changed meanwhile.
    page.on("console", (message) => {
      if (!message.text().includes("the server responded with a status of 409"))
        complaints.push(`${message.text()} ${message.location().url}`);
    });
    page.on("pageerror", (error) => complaints.push(`${page.url()}: ${error}`));
  });
  afterAll(async () => {
    await browser?.close();
    await program?.kill();
    await site?.remove();
    await installation?.remove();
  });

  const go = (path: string) => page.goto(`http://127.0.0.1:${program.adminPort}${path}`);
  const open = (name: string) => page.getByRole("navigation").getByRole("link", { name }).click();
  const press = (name: string) => page.getByRole("button", { name, exact: true }).click();
  const field = (label: string) => page.getByLabel(label, { exact: true });
  const shown = (text: string | RegExp) => page.getByText(text).first().waitFor();
  const download = (bucket: string, path: string) =>
    get({ port: program.downloadPort, path, host: `${bucket}-${APPID}.localhost` });
  const download200 = async (bucket: string, path: string) => {
    const { status, body } = await download(bucket, path);
    expect(status).toBe(200);
    return body;
  };
  const fileText = () => readFile(installation.file, "utf8");

  /** The public URL without its host. */
  async function copied(button: string): Promise<string> {
    await page.getByRole("button", { name: button }).click();
    const text = (await page.evaluate("navigator.clipboard.readText()")) as string;
    const { pathname, search, port } = new URL(text);
    expect(Number(port)).toBe(program.downloadPort);
    return pathname + search;
  }

  async function openImage(bucket: string, key: string): Promise<void> {
    await open("Images");
    await field("Bucket").selectOption(`${APPID}/${bucket}`);
    await page.locator(".tile", { hasText: key }).click();
    await page.getByRole("heading", { level: 1, name: key }).waitFor();
  }

  test("the trial serves its pictures while its origin is stopped, and its console shows them", async () => {
    const command = [PROGRAM, "try", "--port", "0", "--admin-port", "0", "--json"];
    const trial = spawn(process.execPath, command, { stdio: ["ignore", "pipe", "inherit"] });
    try {
      const lines = createInterface(trial.stdout);
      const [line] = await within(once(lines, "line"), 60_000, () => "the trial did not start");
      const { galleryUrl, mirrorUrl, adminUrl } = JSON.parse(String(line)) as Readonly<Record<string, string>>;
      await page.goto(galleryUrl ?? "");
      await page.getByText("Stop the origin").click();
      await shown("Stopped: answers 503");
      const { port, pathname, host } = new URL(mirrorUrl ?? "");
      const { status, body } = await get({ port: Number(port), path: pathname, host });
      expect([status, (await sharp(body).metadata()).width]).toEqual([200, 1_600]);
      await page.goto(adminUrl ?? "");
      await open("Images");
      await page.locator(".tile", { hasText: "mountains-at-dawn.jpg" }).click();
      await page.getByText("1600 × 1067 px").first().waitFor();
    } finally {
      trial.kill("SIGINT");
      await once(trial, "exit");
    }
  });

  test("an own bucket by the wizard: its site is tested, and its first image is served", async () => {
    await go("/");
    await shown("There is no bucket yet");
    await page.getByRole("link", { name: "New bucket" }).first().click();
    await page.getByText("Upload and download; the old images are on your own site").click();
    await page.getByText("The address is private").click();
    await field("URL of the site").fill(site.url);
    await page.keyboard.press("Enter");
    await field("An image that is there").fill(CAT);
    await press("Test now");
    await page.getByText(/^(The origin works\.|It works\. Warnings)/).waitFor();
    await press("Show the changes");
    await page.locator(".diff .added", { hasText: site.url }).waitFor();
    await press("Save and use now");
    await page
      .getByRole("heading", { name: `Ready: photos-${APPID}.localhost serves your images`, level: 1 })
      .waitFor();
    await shown(`The buckets ${APPID}/photos and ${APPID}/uploads are in force.`);
    await press("Fetch");
    await expect.poll(() => page.evaluate(`document.querySelector(".preview img")?.naturalWidth`), PATIENCE).toBe(60);
    expect((await download200("photos", `/${CAT}`)).equals(images.cat)).toBe(true);
    expect(await fileText()).toContain("# Ours.");
  });

  test("a bucket that requires a token refuses a plain URL, and serves the signed one", async () => {
    await open("Buckets");
    await page.getByRole("link", { name: `${APPID}/photos` }).click();
    await page.getByRole("link", { name: "Access" }).click();
    await field("token").selectOption("required");
    await press("Show the changes");
    await press("Save and use now");
    await shown("Saved, and in force.");
    expect((await download("photos", `/${CAT}`)).status).toBe(403);
    await openImage("photos", CAT);
    await press("Make the token");
    const path = await copied("Copy Signed URL");
    expect((await download200("photos", path)).equals(images.cat)).toBe(true);
  });

  test("an uploaded image is served", async () => {
    await open("Images");
    await field("Bucket").selectOption(`${APPID}/uploads`);
    await shown("This bucket has no images yet");
    await page.getByLabel("Upload").setInputFiles({ name: "day.jpg", mimeType: "image/jpeg", buffer: images.upload });
    await page.getByRole("listitem").filter({ hasText: "day.jpg" }).getByText("stored").waitFor();
    await page.locator(".tile", { hasText: "day.jpg" }).waitFor();
    expect((await download200("uploads", "/day.jpg")).equals(images.upload)).toBe(true);
  });

  test("a processed image has a preview, and a URL that serves the same", async () => {
    await openImage("uploads", "day.jpg");
    await field("Size").selectOption("fit");
    await field("Width (px)").fill("30");
    await page.keyboard.press("Tab");
    await field("Format").selectOption("webp");
    await page.getByRole("region", { name: "Preview" }).getByText("30 × 20 px").waitFor();
    const path = await copied("Copy Download URL");
    expect(await sharp(await download200("uploads", path)).metadata()).toMatchObject({ format: "webp", width: 30 });
  });

  test("a folder is migrated, and its images are served", async () => {
    await open("Migrations");
    await press("New migration");
    await field("Name").fill("history");
    await page.getByText("A folder of this server").click();
    await field("Folder").fill(join(installation.folder, "history"));
    await field("Into the bucket").selectOption(`${APPID}/uploads`);
    await press("Start copying");
    const card = page.locator(".card", { has: page.getByRole("heading", { name: "history" }) });
    await card.getByText("1 of 1 images copied").waitFor({ timeout: 60_000 });
    await card.getByText("done").waitFor();
    expect((await download200("uploads", `/2009/${encodeURIComponent("夏")}/old.jpg`)).equals(images.old)).toBe(true);
  });

  test("an image that changed on the site is new after a purge", async () => {
    await writeFile(join(installation.folder, "site", CAT), images.newCat);
    await openImage("photos", CAT);
    await press("Make the token");
    const path = await copied("Copy Signed URL");
    expect((await download200("photos", path)).equals(images.cat)).toBe(true);
    await press("Purge");
    await shown("the next download asks the origin first");
    expect((await download200("photos", path)).equals(images.newCat)).toBe(true);
  });

  test("an edit by hand before the diff is not lost, and neither is that of the console", async () => {
    await open("Buckets");
    await page.getByRole("link", { name: `${APPID}/uploads` }).click();
    await page.getByRole("link", { name: "Processing" }).click();
    await field("Name").first().fill("small");
    await field("Value").first().fill("imageView2/2/w/20");
    await page.getByRole("button", { name: "Add" }).first().click();
    await shown("1 change is not saved");
    // The edit by hand moves the bucket to another place of the list.
    const before = await fileText();
    const byHand = before.replace(/^( +)- name: uploads$/m, "$1- name: mine # by hand\n$1  access: download\n$&");
    expect(byHand).not.toBe(before);
    await writeFile(installation.file, byHand);
    await press("Show the changes");
    await shown("changed by someone else meanwhile. Nothing was saved. Your changes are kept.");
    expect(await fileText()).toBe(byHand);
    await press("Read the file again");
    await page.locator(".diff .added", { hasText: "small: imageView2/2/w/20" }).waitFor();
    await press("Save and use now");
    await shown("Saved, and in force.");
    expect(await fileText()).toContain("- name: mine # by hand");
    expect((await sharp(await download200("uploads", "/day.jpg!small")).metadata()).width).toBe(20);
    expect((await download("mine", "/day.jpg")).status).toBe(404);
  });

  test("an edit by hand of the same setting, between diff and saving, is a conflict that the person decides", async () => {
    const width = async () => (await sharp(await download200("uploads", "/day.jpg!small")).metadata()).width;
    await page.getByLabel(/small/).first().fill("imageView2/2/w/25");
    await page.keyboard.press("Tab");
    await press("Show the changes");
    await page.locator(".diff .added", { hasText: "w/25" }).waitFor();
    const byHand = (await fileText()).replace("small: imageView2/2/w/20", "small: imageView2/2/w/15");
    await writeFile(installation.file, byHand);
    await press("Save and use now");
    await shown("changed by someone else meanwhile");
    expect(await fileText()).toBe(byHand);
    await expect.poll(width, PATIENCE).toBe(15);
    await press("Read the file again");
    await page.locator(".diff .removed", { hasText: "w/15" }).waitFor();
    await press("Save and use now");
    await shown("Saved, and in force.");
    expect(await width()).toBe(25);
  });

  test("all that was done is in the operation log, and no page has complained", async () => {
    await open("Logs");
    await field("Operation").selectOption({ label: "other change" });
    await expect.poll(() => page.getByText(/^settings.*, done$/).count(), PATIENCE).toBe(4);
    await field("Operation").selectOption({ label: "purge" });
    await page.getByRole("cell", { name: CAT }).waitFor();
    expect(complaints).toEqual([]);
  });
});

/** Nearly empty, as an operator would begin. A migration needs the number of the admin port. */
async function settingsOf(folder: string, data: string): Promise<string> {
  return `# Ours.
server:
  host: 127.0.0.1
  port: 0
  adminPort: ${await freePort()}
  baseDomain: localhost
  migrationFolders: [${folder}]
data: ${data}
limits: { freeDisk: 1MB, renderTime: 25s }
projects:
  - appid: "${APPID}"
    keys:
      - { secretId: ${KEYS[0].secretId}, secretKey: ${KEYS[0].secretKey} }
    buckets: []
`;
}

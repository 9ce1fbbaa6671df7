// The console's buckets in Chromium: a new one by the wizard, a change while the file is edited by hand, faults with
// their line, a read-only file, and a key whose secret is shown once.
import { appendFile, readFile, writeFile } from "node:fs/promises";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { launchBrowser } from "../helpers/browser.ts";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { type Installation, install, type Program } from "../helpers/program.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { needs } from "../helpers/services.ts";
import { APPID, KEYS } from "../helpers/settings.ts";

const PATIENCE = { timeout: 10_000 };
const ONE = `/buckets/one?${new URLSearchParams({ bucket: `${APPID}/photos` })}`;

describe("buckets in the console", needs("chromium"), () => {
  let browser: Browser;
  let origin: ScriptedOrigin;
  let installation: Installation;
  let program: Program;
  let page: Page;
  const complaints: string[] = [];

  beforeAll(async () => {
    browser = await launchBrowser();
    const jpeg = await noisyJpeg(60, 40);
    origin = await startScriptedOrigin(async ({ target }, connection) => {
      await connection.send(target.includes(".jpg") ? response(jpeg) : response("", { status: "404 Not Found" }));
    });
    installation = await install({ projects: [{ appid: APPID, keys: [KEYS[0]], buckets: [] }] });
    program = await installation.start();
    page = await (await browser.newContext({ viewport: { width: 1_280, height: 900 }, locale: "en" })).newPage();
    page.setDefaultTimeout(20_000);
    page.on("console", (message) => complaints.push(`${page.url()}: ${message.text()}`));
    page.on("pageerror", (error) => complaints.push(`${page.url()}: ${error}`));
  });
  afterAll(async () => {
    await browser?.close();
    await program?.kill();
    await installation?.remove();
    await origin?.close();
  });

  const go = (path: string) => page.goto(`http://127.0.0.1:${program.adminPort}${path}`);
  const press = (name: string) => page.getByRole("button", { name, exact: true }).click();
  const fill = (label: string, value: string) => page.getByLabel(label, { exact: true }).fill(value);
  const statusOf = async (path: string) =>
    (await get({ port: program.downloadPort, path, host: `photos-${APPID}.localhost` })).status;

  test("the wizard tests the origin, shows the diff, saves it, and fetches and signs the first image", async () => {
    await go("/");
    await page.getByText("There is no bucket yet").waitFor();
    await page.getByRole("link", { name: "New bucket" }).first().click();
    await page.getByText("Download only; the images are on your own site").click();
    await fill("URL of the site", origin.url);
    await page.getByText("The address is private").click();
    await press("Continue");
    await fill("An image that is there", "2015/a.jpg");
    await press("Test now");
    await page.locator(".attention li").first().waitFor();
    await press("Show the changes");
    await page.locator(".diff .added", { hasText: origin.url }).waitFor();
    expect(await readFile(installation.file, "utf8")).not.toContain(origin.url);
    await press("Save and use now");
    await page.getByText(`The bucket ${APPID}/photos is in force.`).waitFor();
    await press("Fetch and sign");
    await expect.poll(() => page.evaluate(`document.querySelector(".preview img")?.naturalWidth`), PATIENCE).toBe(60);
    // Without a domain of its own the public URL is that of the default domain.
    expect(await page.locator("a[href*='2015/a.jpg?sign=']").count()).toBe(1);
    expect(await statusOf("/2015/a.jpg")).toBe(200);
    expect(complaints).toEqual([]);
  });

  test("a change on top of an edit by hand keeps both, and is in force", async () => {
    await go(`${ONE}&view=access`);
    await page.getByLabel("Token", { exact: true }).selectOption("required");
    await page.getByRole("link", { name: "Images" }).first().click();
    await page.goBack();
    await page.getByText("1 change is not saved").waitFor();
    await appendFile(installation.file, "\n# by hand\n");
    await press("Show the changes");
    await page.getByText("changed by someone else").waitFor();
    await press("Read the file again");
    await page.locator(".diff .added", { hasText: "required" }).waitFor();
    await press("Save and use now");
    await page.getByText("Saved, and in force.").waitFor();
    expect(await readFile(installation.file, "utf8")).toContain("# by hand");
    expect(await statusOf("/2015/a.jpg")).toBe(403);
  });

  test("settings with a fault are not saved, and the fault names its line", async () => {
    await go(`${ONE}&view=processing`);
    await page.getByLabel("New name").first().fill("small");
    await page.getByLabel("Processing instruction").first().fill("imageView2/9/w/x");
    await page.getByRole("button", { name: "Add" }).first().click();
    await press("Show the changes");
    await page.getByText(/^Line \d+:.*aliases\.small/).waitFor();
    expect(await page.getByRole("button", { name: "Save and use now" }).isDisabled()).toBe(true);
  });

  test("the secret of a new key is shown once", async () => {
    await go(`${ONE}&view=keys`);
    await press("Add a key");
    const secret = await page.locator(".note code").nth(1).textContent();
    expect(secret).toMatch(/^\w{43}$/);
    expect(await readFile(installation.file, "utf8")).toContain(secret ?? "");
    await page.reload();
    await page.getByText("in the file").first().waitFor();
    expect(await page.content()).not.toContain(secret ?? "");
  });

  test("a file that is read-only is shown, and has no field to change", async () => {
    // Root may write every file, so the answer is changed.
    await page.route("**/api/v1/settings", async (route) => {
      const answer = await route.fetch();
      await route.fulfill({ response: answer, json: { ...(await answer.json()), readOnly: "it is a test" } });
    });
    await go(ONE);
    await page.getByText("The settings can be seen here, but not changed: it is a test.").waitFor();
    expect(await page.getByLabel("URL of the site").getAttribute("readonly")).not.toBeNull();
    expect(await page.getByRole("button", { name: /^(Add|Remove)/ }).count()).toBe(0);
    await page.unroute("**/api/v1/settings");
  });

  test("a file with faults is shown with its line, and the settings before it stay in force", async () => {
    const text = await readFile(installation.file, "utf8");
    await writeFile(installation.file, text.replace('"appid"', '"apid"'));
    await go("/buckets");
    await page.getByText("so the settings before it stay in force").waitFor();
    await page
      .getByText(/^Line \d+:/)
      .first()
      .waitFor();
    await page.getByRole("rowheader", { name: `${APPID}/photos` }).waitFor();
  });
});

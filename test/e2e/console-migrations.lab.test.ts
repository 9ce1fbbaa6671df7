// Migrations in the console in Chromium: the form, failures by cause, and a comparison with the source that finds a
// damaged and a missing image, until a retry has mended both.
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { launchBrowser } from "../helpers/browser.ts";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { faultsOf } from "../helpers/page-faults.ts";
import { type Installation, install, type Program } from "../helpers/program.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { freePort, needs } from "../helpers/services.ts";
import { mirrorOf, oneBucket } from "../helpers/settings.ts";
import { blobWith, damageBlob } from "../helpers/stored-blobs.ts";

/** A run of a child process takes seconds on a busy machine. */
const RUN = { timeout: 60_000 };

describe("migrations in the console", needs("chromium"), () => {
  let browser: Browser;
  let jpeg: Buffer;
  let origin: ScriptedOrigin;
  let installation: Installation;
  let program: Program;
  let page: Page;
  const complaints: string[] = [];

  /** An image with bytes of its own. */
  const imageOf = (key: string) => Buffer.concat([jpeg, Buffer.from(`/${key}`)]);

  beforeAll(async () => {
    browser = await launchBrowser();
    jpeg = await noisyJpeg(60, 40);
    origin = await startScriptedOrigin(async ({ target }, connection) => {
      const isAway = target.includes("away");
      const body = isAway ? "" : imageOf(target.slice(1));
      await connection.send(response(body, { status: isAway ? "503 Service Unavailable" : "200 OK" }));
    });
    // A migration reaches the server at the port of the settings.
    installation = await install(oneBucket(mirrorOf(origin.url), {}, { server: { adminPort: await freePort() } }));
    program = await installation.start();
    page = await (await browser.newContext({ viewport: { width: 1_280, height: 900 }, locale: "en" })).newPage();
    page.setDefaultTimeout(20_000);
    page.on("pageerror", (error) => complaints.push(`${page.url()}: ${error}`));
    await page.goto(`http://127.0.0.1:${program.adminPort}/migrations`);
  });
  afterAll(async () => {
    await browser?.close();
    await program?.kill();
    await installation?.remove();
    await origin?.close();
  });

  const press = (name: string) => page.getByRole("button", { name, exact: true }).click();
  const fill = (label: string, value: string) => page.getByLabel(label, { exact: true }).fill(value);
  const cardOf = (name: string) => page.locator(".card", { has: page.getByRole("heading", { name, exact: true }) });
  const badge = (name: string, words: string) => cardOf(name).locator(".badge", { hasText: words }).waitFor(RUN);

  async function change(operation: string, key: string) {
    const init = { method: "POST", body: JSON.stringify({ names: [key] }) };
    const url = `http://127.0.0.1:${program.adminPort}/api/v1/objects/${operation}`;
    const answer = await fetch(url, { ...init, headers: { "content-type": "application/json" } });
    expect(await answer.text()).toContain('"changed":true');
  }

  async function openForm(name: string) {
    await press("New migration");
    await fill("Name", name);
    await page.getByLabel("Domain", { exact: true }).selectOption("*");
    await page.getByLabel("Host name").fill("any.example");
  }

  test("the form starts a migration, or says why not; its card shows failures by cause", async () => {
    await openForm("site");
    await page.getByLabel("Which images").selectOption("sitemap");
    await page.getByLabel("URL of the sitemap").fill("https://any.example/map.xml?all");
    await press("Start copying");
    await page.getByRole("alert").getByText('"sitemap" must have neither').waitFor();
    expect(await faultsOf(page)).toEqual([]);

    await page.getByLabel("Which images").selectOption("list");
    await fill("List", "photos/two.jpg\nphotos/away.jpg\n");
    await press("Start copying");
    await badge("site", "ended with failures");
    await cardOf("site").getByText("1 of 2 images copied").waitFor();
    await cardOf("site").getByRole("cell", { name: "status 503" }).waitFor();
    await cardOf("site").getByRole("button", { name: "Retry" }).waitFor();
    expect(await faultsOf(page)).toEqual([]);
    await press("简体中文");
    await cardOf("site").getByRole("cell", { name: "status 503" }).waitFor();
    await page.getByRole("link", { name: "概览" }).first().click();
    await page.locator(".attention li", { hasText: "site" }).getByText("1 张图片复制失败").waitFor();
    await press("English");
    await page.locator(".attention li", { hasText: "site" }).getByRole("link", { name: "Migrations" }).click();
    await cardOf("site").waitFor();
  });

  test("verify finds a damaged and a missing image; after a retry it finds no difference", async () => {
    const [damaged, absent] = ["photos/three.jpg", "photos/four.jpg"];
    await openForm("shop");
    await fill("List", `photos/one.jpg\n${damaged}\n${absent}\n`);
    await press("Start copying");
    await badge("shop", "done");
    damageBlob(blobWith(installation.data, imageOf(damaged)), 30);
    for (const operation of ["delete", "undelete"]) await change(operation, absent);

    const card = cardOf("shop");
    const verify = async () => {
      await card.getByLabel("Compare with the source").selectOption({ label: "every image" });
      await card.getByRole("button", { name: "Verify", exact: true }).click();
    };
    await verify();
    await badge("shop", "differences found");
    await card.getByText("Equal images: 1, others: 2.").waitFor();
    for (const row of [/^Other bytes in the bucket 1 Retry copies/, /^Missing in the bucket 1 Retry copies/])
      await card.getByRole("row", { name: row }).waitFor();
    await card.getByText("The first of each kind").click();
    for (const key of [damaged, absent]) await card.getByRole("cell", { name: key }).waitFor();
    expect(await faultsOf(page)).toEqual([]);

    await card.getByRole("button", { name: "Retry" }).click();
    await card.getByText("A run has begun since then.").waitFor(RUN);
    await badge("shop", "done");
    await card.getByText("3 of 3 images copied").waitFor();
    await verify();
    await card.getByText("No difference. Images: 3, compared byte by byte: 3.").waitFor(RUN);
    await card.getByText("Before you switch the source off").waitFor();
    await badge("shop", "done");
    for (const key of [damaged, absent]) {
      const { status, body } = await get({ port: program.downloadPort, path: `/${key}` });
      expect([status, body.equals(imageOf(key))], key).toEqual([200, true]);
    }
    expect(await faultsOf(page)).toEqual([]);
    expect(complaints).toEqual([]);
  });
});

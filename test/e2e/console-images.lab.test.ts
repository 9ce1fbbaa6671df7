// The console's images and logs in Chromium: uploads by drag and drop and by the button, the page of one image, the
// operation log, usage, callbacks that are owed, and the steps of a pasted URL.
import type { Browser, Page } from "playwright-core";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { launchBrowser } from "../helpers/browser.ts";
import { get } from "../helpers/get.ts";
import { noisyJpeg, noisyPng } from "../helpers/images.ts";
import { type Installation, install, type Program } from "../helpers/program.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { freePort, needs } from "../helpers/services.ts";
import { APPID, mirrorOf, oneBucket } from "../helpers/settings.ts";

const PATIENCE = { timeout: 10_000 };
const MIRRORED = "2015/mirrored.jpg";
const pageOf = (key: string) => `/images/one?${new URLSearchParams({ bucket: `${APPID}/photos`, key })}`;

interface DroppedFile {
  readonly name: string;
  readonly type: string;
  readonly bytes: Uint8Array;
}

describe("images and logs in the console", needs("chromium"), () => {
  let browser: Browser;
  let origin: ScriptedOrigin;
  let installation: Installation;
  let program: Program;
  let page: Page;
  let jpeg: Buffer;
  const complaints: string[] = [];

  beforeAll(async () => {
    browser = await launchBrowser();
    jpeg = await noisyJpeg(60, 40);
    origin = await startScriptedOrigin(async ({ target }, connection) => {
      if (target.includes("away")) await connection.send(response("", { status: "503 Service Unavailable" }));
      else if (target.includes("absent")) await connection.send(response("", { status: "404 Not Found" }));
      else await connection.send(response(jpeg));
    });
    // Nothing listens at the callback's port.
    const url = `http://127.0.0.1:${await freePort()}/uploaded`;
    const callback = { url, secret: "a-secret-of-the-callback", allowPrivate: true, onFailure: "accept" };
    const bucket = { access: "upload-download", aliases: { small: "imageView2/2/w/20" }, callback };
    installation = await install(
      oneBucket(mirrorOf(origin.url), bucket, { limits: { objectSize: "3MB" }, server: { baseDomain: "localhost" } }),
    );
    program = await installation.start();
    page = await (await browser.newContext({ viewport: { width: 1_280, height: 900 }, locale: "en" })).newPage();
    page.setDefaultTimeout(20_000);
    // The browser writes a line for each image and each call that is refused.
    page.on("console", (message) => {
      if (!message.text().includes("the server responded with a status of 4"))
        complaints.push(`${message.text()} ${message.location().url}`);
    });
    page.on("pageerror", (error) => complaints.push(`${page.url()}: ${error}`));
  });
  afterAll(async () => {
    await browser?.close();
    await program?.kill();
    await installation?.remove();
    await origin?.close();
  });

  const go = (path: string) => page.goto(`http://127.0.0.1:${program.adminPort}${path}`);
  const press = (name: string | RegExp) => page.getByRole("button", { name }).click();
  const download = (key: string, query = "") => get({ port: program.downloadPort, path: `/${key}${query}` });
  const row = (key: string) => page.getByRole("listitem").filter({ hasText: key });
  const tile = (key: string) => page.locator(".tile", { hasText: key });

  /** Drops files on the page as a file manager does. */
  async function drop(files: readonly DroppedFile[], onto = ".drop") {
    const named = files.map(({ name, type, bytes }) => ({ name, type, text: Buffer.from(bytes).toString("base64") }));
    const transfer = await page.evaluateHandle(`(() => {
      const transfer = new DataTransfer();
      for (const { name, type, text } of ${JSON.stringify(named)})
        transfer.items.add(new File([Uint8Array.from(atob(text), (each) => each.charCodeAt(0))], name, { type }));
      return transfer;
    })()`);
    // A browser repeats it while files are held over the page, which listens from its first frame on.
    const hover = async () => {
      await page.dispatchEvent(onto, "dragover", { dataTransfer: transfer });
      return page.locator(".drop.is-over").count();
    };
    await expect.poll(hover, PATIENCE).toBe(1);
    await page.dispatchEvent(onto, "drop", { dataTransfer: transfer });
  }

  test("dropped files are stored in the folder that is searched; what is no image, or too large, says so", async () => {
    await go("/images?prefix=new%2Fpart");
    await page.getByText("No key begins with new/part").waitFor();
    const png = await noisyPng(30, 20);
    await drop([
      { name: "one.jpg", type: "image/jpeg", bytes: jpeg },
      { name: "note.txt", type: "text/plain", bytes: Buffer.from("no image") },
      { name: "晚霞 two.png", type: "image/png", bytes: png },
      { name: "empty.jpg", type: "image/jpeg", bytes: new Uint8Array() },
    ]);
    await row("new/one.jpg").getByText("stored").waitFor();
    await row("new/one.jpg").getByRole("link").waitFor();
    await row("new/晚霞 two.png").getByText("stored").waitFor();
    await row("new/note.txt").getByText("not a whole image of a known format").waitFor();
    await row("new/empty.jpg").getByText("empty, or larger than").waitFor();
    expect(await row("new/empty.jpg").getByRole("link").count()).toBe(0);
    expect((await download("new/one.jpg")).body).toEqual(jpeg);
    expect((await download(`new/${encodeURIComponent("晚霞 two.png")}`)).body).toEqual(png);
    await page.getByLabel("Key begins with").fill("new/");
    await tile("晚霞 two.png").waitFor();
    expect(complaints).toEqual([]);
  });

  test("a file beside the field is taken too; a name that exists can be replaced", async () => {
    await go("/images?prefix=new%2F");
    await tile("new/one.jpg").waitFor();
    const other = await noisyPng(50, 50);
    await drop([{ name: "one.jpg", type: "image/png", bytes: other }], "h1");
    await row("new/one.jpg").getByText("has an image of this name").waitFor();
    expect((await download("new/one.jpg")).body).toEqual(jpeg);
    await press("Replace new/one.jpg");
    await row("new/one.jpg").getByText("stored").waitFor();
    expect((await download("new/one.jpg")).body).toEqual(other);
    await tile("new/one.jpg").getByText("50 × 50").waitFor();
  });

  test("the button takes several files, and a large one shows how much of it has left", async () => {
    await go("/images?prefix=big%2F");
    const large = await sharp(await noisyPng(900, 900))
      .png({ compressionLevel: 0 })
      .toBuffer();
    // Slow enough that the progress can be seen.
    const session = await page.context().newCDPSession(page);
    await session.send("Network.enable");
    const network = { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: 1_000_000 };
    await session.send("Network.emulateNetworkConditions", network);
    await page.getByLabel("Upload").setInputFiles([
      { name: "large.png", mimeType: "image/png", buffer: large },
      { name: "after.jpg", mimeType: "image/jpeg", buffer: jpeg },
      { name: "huge.png", mimeType: "image/png", buffer: Buffer.alloc(3_100_000, 1) },
    ]);
    await row("big/after.jpg").getByText("waits").waitFor();
    const share = () => row("big/large.png").getByRole("progressbar").getAttribute("value");
    await expect.poll(async () => Number(await share()) > 0.1 && Number(await share()) < 1, PATIENCE).toBe(true);
    await session.send("Network.emulateNetworkConditions", { ...network, uploadThroughput: -1 });
    await row("big/large.png").getByText("stored").waitFor();
    await row("big/after.jpg").getByText("stored").waitFor();
    await row("big/huge.png").getByText("empty, or larger than").waitFor();
    expect((await download("big/large.png")).body.equals(large)).toBe(true);
    await row("big/large.png").getByRole("link").click();
    await page.getByRole("heading", { name: "big/large.png", level: 1 }).waitFor();
    await session.detach();
    expect(complaints).toEqual([]);
  });

  test("an image that was never fetched is found by its key, fetched, and has its provenance", async () => {
    await go("/images");
    await page.getByLabel("Key begins with").fill(MIRRORED);
    await page.getByRole("link", { name: `The page of ${MIRRORED}` }).click();
    await press("Fetch it from the origin");
    const facts = page.getByRole("region", { name: "Facts" });
    await facts.getByText("the mirror").waitFor();
    await facts.getByText(`${origin.url}/${MIRRORED}`).waitFor();
    await facts.getByText("60 × 40 px").waitFor();
    await page
      .getByRole("region", { name: "Hashes" })
      .getByText(/^[0-9a-f]{64}$/)
      .waitFor();
    await go(pageOf("2015/absent.jpg"));
    await press("Fetch it from the origin");
    await page.getByRole("alert").getByText("The origin does not have this image").waitFor();
  });

  test("a preview has a URL to copy, a wrong instruction says why, and an alias is a variant", async () => {
    await go(pageOf(MIRRORED));
    const preview = page.getByRole("region", { name: "Preview" });
    const shown = preview.locator("code");
    expect(await shown.textContent()).toBe(`http://photos-${APPID}.localhost:${program.downloadPort}/${MIRRORED}`);
    await page.getByLabel("Size", { exact: true }).selectOption("fit");
    await page.getByLabel("Width (px)").fill("30");
    await page.getByLabel("Width (px)").press("Enter");
    await preview.getByText("30 × 20 px").waitFor();
    const url = new URL((await shown.textContent()) ?? "");
    const { body } = await get({ port: program.downloadPort, path: url.pathname + url.search, host: url.host });
    expect((await sharp(body).metadata()).width).toBe(30);
    await page.getByLabel("Processing instruction").fill("imageView2/2/w/abc");
    await page.getByLabel("Processing instruction").press("Enter");
    await preview.getByRole("alert").getByText("abc").waitFor();
    await preview.locator(".preview img").waitFor({ state: "hidden" });
    await page.getByLabel("Processing instruction").fill("small");
    await page.getByLabel("Processing instruction").press("Enter");
    await preview.getByText("20 × 13 px").waitFor();
    const variants = page.getByRole("region", { name: "Processed images" });
    await variants.getByRole("cell", { name: "small" }).waitFor();
    expect(complaints).toEqual([]);
  });

  test("a field keeps what is typed while the preview loads", async () => {
    await go(pageOf(MIRRORED));
    await page.getByLabel("Size", { exact: true }).selectOption("fit");
    for (const [angle, label, text] of [
      ["90", "Watermark text", "mark"],
      ["180", "Width (px)", "33"],
      ["270", "Processing instruction", "typed"],
    ] as const) {
      const field = page.getByLabel(label);
      let show = () => {};
      const isTyped = new Promise<void>((resolve) => (show = resolve));
      await page.route(`**/objects/image?*rotate%2F${angle}*`, (route) => isTyped.then(() => route.continue()));
      await page.getByLabel("Rotate").selectOption(angle);
      await expect
        .poll(() => page.getByLabel("Processing instruction").inputValue(), PATIENCE)
        .toContain(`rotate/${angle}`);
      await field.fill(text);
      show();
      await expect.poll(() => page.evaluate(`document.querySelector(".preview img").complete`), PATIENCE).toBe(true);
      await page.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))");
      expect(await field.inputValue()).toBe(text);
      await field.blur();
    }
    await page.unrouteAll();
    expect(complaints).toEqual([]);
  });

  test("a purge answers beside its button, and asks the origin at the next download; an upload has none", async () => {
    await go(pageOf(MIRRORED));
    const asked = origin.requests.length;
    await press("Purge");
    const changes = page.getByRole("region", { name: "Changes" });
    await changes.getByRole("status").getByText("Purged").waitFor();
    await page.getByText("the next download asks the origin first").waitFor();
    expect((await download(MIRRORED)).status).toBe(200);
    expect(origin.requests.length).toBe(asked + 1);
    await go(pageOf("big/after.jpg"));
    await page.getByText("there is nothing to purge").waitFor();
    expect(await page.getByRole("button", { name: "Purge" }).isDisabled()).toBe(true);
  });

  test("the delete of an upload says that it is for good, begins on Cancel, and offers no undelete", async () => {
    const focused = () => page.evaluate("document.activeElement.textContent");
    await go(pageOf("new/晚霞 two.png"));
    await press("Delete");
    await page.getByRole("dialog").getByText("gone for good").waitFor();
    expect(await focused()).toBe("Cancel");
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    expect(await focused()).toBe("Delete");
    await press("Delete");
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await page.getByText("gone for good").waitFor();
    expect(await page.getByRole("button", { name: "Undelete" }).count()).toBe(0);
    expect((await download(`new/${encodeURIComponent("晚霞 two.png")}`)).status).toBe(404);
    await page.getByRole("link", { name: "Upload" }).click();
    await drop([{ name: "晚霞 two.png", type: "image/png", bytes: await noisyPng(30, 20) }]);
    await row("new/晚霞 two.png").getByText("stored").waitFor();
  });

  test("the operation log is filtered by operation, key and day, and as CSV", async () => {
    await go("/logs");
    const cells = page.locator("td .mono", { hasText: "new/one.jpg" });
    await expect.poll(() => cells.count(), PATIENCE).toBe(3);
    await page.getByLabel("Operation", { exact: true }).selectOption({ label: "purge" });
    await page.getByRole("cell", { name: MIRRORED }).waitFor();
    await expect.poll(() => cells.count(), PATIENCE).toBe(0);
    await page.getByLabel("Operation", { exact: true }).selectOption({ label: "upload" });
    await page.getByLabel("Key", { exact: true }).fill("new/one.jpg");
    await page.getByLabel("Bucket", { exact: true }).selectOption(`${APPID}/photos`);
    await expect.poll(() => page.locator("tbody tr").count(), PATIENCE).toBe(3);
    await page.getByText("-1886").waitFor();
    const loading = page.waitForEvent("download");
    await page.getByRole("link", { name: "CSV" }).click();
    const csv = await new Response(await (await loading).createReadStream()).text();
    expect(csv.trimEnd().split("\r\n").length).toBe(4);
    await page.getByLabel("To", { exact: true }).fill("2020-01-01");
    await page.getByText("No operation matches").waitFor();
    await go("/logs?view=usage");
    await page.locator(".u-legend").waitFor();
    await page.getByRole("rowheader", { name: new Date().toISOString().slice(0, 10) }).waitFor();
  });

  test("callbacks that are owed have their reason, and one can be dropped", async () => {
    await go("/logs?view=callbacks");
    const owed = page.getByRole("row").filter({ hasText: "big/after.jpg" });
    await owed.getByText("connect").waitFor();
    await owed.getByText("waits for a retry").waitFor();
    await owed.getByRole("button", { name: "Drop" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Drop" }).click();
    await owed.waitFor({ state: "detached" });
  });

  test("a pasted URL is drawn as the steps of its request, in both languages", async () => {
    const steps = async (path: string) => {
      await page.locator("input[name=url]").fill(`http://any.example${path}`);
      await page.keyboard.press("Enter");
      await page
        .locator(".steps code", { hasText: path.slice(1).split("?")[0] ?? "" })
        .first()
        .waitFor();
      return (await page.locator(".steps li").allTextContents()).join("\n");
    };
    await go("/logs?view=explain");
    expect(await steps(`/${MIRRORED}?imageView2/2/w/30`)).toMatch(
      /Domain\*.*photos\nImage.*\nProcessing.*resize.*\nBuckethas the image.*\nRulethe domain's own mirror: fetched and stored\nAnswer/,
    );
    expect(await steps("/2015/unseen.jpg")).toMatch(
      /Bucket.*does not have.*\n.*\nOriginGET .*\/2015\/unseen\.jpg\nAnswer.*origin/,
    );
    await page.getByRole("button", { name: "简体中文" }).click();
    expect(await steps("/2015/unseen.jpg")).toContain("规则域名自己的源站: 回源拉取并存储");
    expect((await download("2015/away.jpg")).status).toBe(424);
    await go("/origins");
    await page.getByRole("cell", { name: "源站返回错误状态码" }).waitFor();
    await go("/");
    await page.getByRole("cell", { name: "源站返回错误状态码" }).waitFor();
    await page.getByRole("button", { name: "English" }).click();
  });

  test("what needs attention has a page or a command, and the last backup its outcome", async () => {
    await go("/");
    await page.locator(".attention li", { hasText: "callbacks wait for a retry" }).getByRole("link").click();
    await page.getByRole("heading", { name: "Callbacks" }).waitFor();
    await go("/");
    const backup = page.locator(".figure", { hasText: "Last backup" });
    await backup.getByText("huiyuan backup").waitFor();
  });
});

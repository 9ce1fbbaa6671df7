// The console's buckets in Chromium: the four scenarios of the wizard, a change while the file is edited by hand,
// faults beside their field and with their line, a read-only file, keys, a callback, an alias, and removals.
import { appendFile, readFile, writeFile } from "node:fs/promises";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { launchBrowser } from "../helpers/browser.ts";
import { type BusinessServer, startBusinessServer } from "../helpers/business-server.ts";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { type Installation, install, type Program } from "../helpers/program.ts";
import { type QiniuStandIn, startQiniuStandIn } from "../helpers/qiniu-stand-in.ts";
import { callApi, fileForm, uploadToken } from "../helpers/rest-api.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { type ScriptedS3, startScriptedS3 } from "../helpers/scripted-s3.ts";
import { needs } from "../helpers/services.ts";
import { APPID, KEYS, mirrorOf } from "../helpers/settings.ts";

const PATIENCE = { timeout: 10_000 };
const ONE = `/buckets/one?${new URLSearchParams({ bucket: `${APPID}/photos` })}`;
const NO_BUCKET = { projects: [{ appid: APPID, keys: [KEYS[0]], buckets: [] }] };
/** The bucket photos, which mirrors a site by its default domain. */
const mirrored = (url: string) => {
  const domains = [{ host: `photos-${APPID}.localhost`, mirror: mirrorOf(url) }];
  return { projects: [{ appid: APPID, keys: [KEYS[0]], buckets: [{ name: "photos", domains }] }] };
};
/** The stand-in for Qiniu checks signatures with them. */
const QINIU_KEYS = { accessKey: "QINIUACCESS", secretKey: "qiniu-secret" };
const CALLBACK_SECRET = "a-secret-of-callbacks";

describe("buckets in the console", needs("chromium"), () => {
  let browser: Browser;
  let origin: ScriptedOrigin;
  let qiniu: QiniuStandIn;
  let s3: ScriptedS3;
  let business: BusinessServer;
  let jpeg: Buffer;
  let installation: Installation;
  let program: Program;
  let page: Page;
  const complaints: string[] = [];

  beforeAll(async () => {
    browser = await launchBrowser();
    jpeg = await noisyJpeg(60, 40);
    qiniu = await startQiniuStandIn({ objects: new Map([["2015/a.jpg", jpeg]]), keys: QINIU_KEYS });
    s3 = await startScriptedS3();
    s3.objects.set("2015/a.jpg", { bytes: jpeg, headers: { "content-type": "image/jpeg" } });
    business = await startBusinessServer(CALLBACK_SECRET);
    origin = await startScriptedOrigin(async ({ target }, connection) => {
      const isThere = target.includes(".jpg") && !target.includes("huiyuan-doctor-");
      await connection.send(isThere ? response(jpeg) : response("", { status: "404 Not Found" }));
    });
    installation = await install(NO_BUCKET);
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
    await Promise.all([origin, qiniu, s3, business].map((server) => server?.close()));
  });

  const go = (path: string) => page.goto(`http://127.0.0.1:${program.adminPort}${path}`);
  const press = (name: string) => page.getByRole("button", { name, exact: true }).click();
  const fill = (label: string, value: string) => page.getByLabel(label, { exact: true }).fill(value);
  const statusOf = async (path: string, bucket = "photos") =>
    (await get({ port: program.downloadPort, path, host: `${bucket}-${APPID}.localhost` })).status;
  const target = (bucket: string) => `/photos/v2/${APPID}/${bucket}/0/2016%2Fnew.jpg`;
  const upload = (bucket: string, sign = uploadToken("", bucket)) =>
    callApi({ port: program.downloadPort, target: target(bucket), sign, form: fileForm(jpeg) });

  /** The value of the field that has the focus. */
  const focused = () => page.evaluate("document.activeElement.value");
  const choose = (vendor: string) => async () => {
    await page.getByLabel("Cloud", { exact: true }).selectOption(vendor);
  };

  /** Walks the wizard from an empty console to the first image. */
  async function walk(scenario: string, fields: Readonly<Record<string, string>>, choose = async () => {}) {
    await installation.write(NO_BUCKET);
    const buckets = async () => (await fetch(`http://127.0.0.1:${program.adminPort}/api/v1/buckets`)).json();
    await expect.poll(buckets, PATIENCE).toEqual({ buckets: [] });
    await go("/buckets");
    await page.getByText("There is no bucket yet").waitFor();
    await page.getByRole("link", { name: "New bucket" }).first().click();
    await page.getByText(scenario, { exact: true }).click();
    await choose();
    for (const [label, value] of Object.entries(fields)) await fill(label, value);
    await press("Continue");
    await fill("An image that is there", "2015/a.jpg");
    await press("Test now");
    await press("It is my own network: allow it and test again");
    await page.getByText(/^(The origin works\.|It works\. Warnings)/).waitFor();
    await page.getByText(/^\d+ checks passed$/).click();
    await page.getByText(/a whole jpeg of 60 × 40/).waitFor();
    expect(await page.getByText("--allow-private").count()).toBe(0);
    await press("Show the changes");
    await page.locator(".diff .added", { hasText: "name: " }).first().waitFor();
    await press("Save and use now");
    await page.getByText(/^The bucket \S+ is in force\.$|^The buckets \S+ and \S+ are in force\./).waitFor();
    await fill("Key of an image", "http://img.example.com/2015/a.jpg?sign=old");
    await press("Fetch");
    await expect.poll(() => page.evaluate(`document.querySelector(".preview img")?.naturalWidth`), PATIENCE).toBe(60);
    // Without a domain of its own the public URL is that of the default domain. It needs no signature.
    await page.locator("a[href$='/2015/a.jpg']").waitFor();
    await page.getByText("Signed URLs", { exact: true }).click();
    await page.locator("a[href*='2015/a.jpg?sign=']").waitFor();
    expect(complaints).toEqual([]);
  }

  test("scenario 1: downloads, the images are in a private bucket of Qiniu", async () => {
    await walk(
      "Download only; the images are in another cloud",
      {
        "Name of the bucket": "one",
        "Download domain of the Qiniu bucket": qiniu.url,
        AccessKey: QINIU_KEYS.accessKey,
        SecretKey: QINIU_KEYS.secretKey,
      },
      choose("qiniu"),
    );
    expect(await statusOf("/2015/a.jpg", "one")).toBe(200);
    expect((await upload("one")).code).toBe(-75);
  });

  test("scenario 3: uploads and downloads, the old images are in an S3 store", async () => {
    await walk(
      "Upload and download; the old images are in another cloud",
      {
        "Name of the bucket": "three",
        "Bucket in the cloud": "pictures",
        "URL of the service": s3.url,
        AccessKey: "MINIOACCESS",
        SecretKey: "minio-secret",
      },
      choose("minio"),
    );
    expect(await statusOf("/2015/a.jpg", "three")).toBe(200);
    // The command of the last step is a program's upload.
    const command = (await page.locator("pre", { hasText: "FileContent" }).textContent()) ?? "";
    expect(command).toMatch(/^curl -o a\.jpg -H 'Host: \S+' '\S+\/2015\/a\.jpg'\ncurl .*@a\.jpg/);
    const [, token = "", path = ""] = /QCloud ([^']+)'.*(\/photos\/v2\/\S+)/.exec(command) ?? [];
    const sent = { port: program.downloadPort, target: path, sign: token, form: fileForm(jpeg) };
    expect((await callApi(sent)).code).toBe(0);
    expect(await statusOf("/new.jpg", "three")).toBe(200);
    expect((await upload("three")).code).toBe(0);
    expect(await statusOf("/2016/new.jpg", "three")).toBe(200);
    expect((await upload("three", "no-token")).code).not.toBe(0);
  });

  test("scenario 4: uploads and downloads, the old images are on a site", async () => {
    await walk("Upload and download; the old images are on your own site", {
      "URL of the site": origin.url,
      "Bucket of the old images": "old",
      "Bucket of the uploads": "new",
    });
    expect(await statusOf("/2015/a.jpg", "old")).toBe(200);
    expect((await upload("new")).code).toBe(0);
    expect(await statusOf("/2016/new.jpg", "new")).toBe(200);
    expect((await upload("old")).code).toBe(-75);
    expect(await statusOf("/2015/a.jpg", "new")).toBe(404);
    // The console offers what each bucket can do.
    await go(`/images?bucket=${APPID}/old`);
    await page.getByText("takes no uploads").waitFor();
    expect(await page.getByLabel("Upload").count()).toBe(0);
    await page.getByRole("link", { name: `${APPID}/new` }).click();
    await page.getByLabel("Upload").waitFor({ state: "attached" });
    await go(`/buckets/one?bucket=${APPID}/new&view=tryIt`);
    await page.locator("pre", { hasText: "FileContent=@a.jpg" }).waitFor();
    expect(await page.getByRole("button", { name: "Fetch" }).count()).toBe(0);
  });

  test("scenario 2: downloads, the images are on a site", async () => {
    await walk("Download only; the images are on your own site", { "URL of the site": origin.url });
    expect(await readFile(installation.file, "utf8")).toContain(origin.url);
    expect(await statusOf("/2015/a.jpg")).toBe(200);
  });

  test("a change on top of an edit by hand keeps both, and is in force", async () => {
    await go(`${ONE}&view=access`);
    await page.getByLabel("token", { exact: true }).selectOption("required");
    await page.getByText("1 change is not saved").waitFor();
    const questions: string[] = [];
    page.once("dialog", (dialog) => {
      questions.push(dialog.message());
      return dialog.dismiss();
    });
    await page.getByRole("link", { name: "Overview" }).click();
    expect(questions).toEqual(["Changes of the settings are not saved, and would be lost. Leave anyway?"]);
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
    await page.getByLabel("Name", { exact: true }).first().fill("small");
    await page.getByLabel("Value", { exact: true }).first().fill("imageView2/9/w/x");
    await page.getByRole("button", { name: "Add" }).first().click();
    await press("Show the changes");
    await page.getByText(/^Line \d+:.*aliases\.small/).waitFor();
    expect(await page.getByRole("button", { name: "Save and use now" }).isDisabled()).toBe(true);
    const field = page.getByLabel("small", { exact: true });
    await expect.poll(() => field.getAttribute("aria-invalid"), PATIENCE).toBe("true");
    await field.fill("imageView2/2/w/30");
    await expect.poll(() => field.getAttribute("aria-invalid"), PATIENCE).toBe("false");
    await page.locator(".diff .added", { hasText: "imageView2/2/w/30" }).waitFor();
    await expect.poll(() => page.evaluate(`document.querySelector(".preview img")?.naturalWidth`), PATIENCE).toBe(30);
    await press("Save and use now");
    await page.getByText("Saved, and in force.").waitFor();
  });

  test("the secret of a new key is shown once; the old key is replaced, and removed", async () => {
    await go(`${ONE}&view=keys`);
    await press("Add a key");
    const secret = await page.locator(".note code").nth(1).textContent();
    expect(secret).toMatch(/^\w{43}$/);
    expect(await readFile(installation.file, "utf8")).toContain(secret ?? "");
    await page.reload();
    await page.getByText(`in ${installation.file}`).first().waitFor();
    expect(await page.content()).not.toContain(secret ?? "");
    const old = page.getByRole("row", { name: KEYS[0].secretId });
    await old.getByRole("button", { name: "Replace at once" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Replace at once" }).click();
    await page.getByText("The new key. Its secret is shown only now.").waitFor();
    await old.waitFor({ state: "detached" });
    const rotated = (await page.locator(".note code").first().textContent()) ?? "";
    const row = page.getByRole("row", { name: rotated });
    await row.getByRole("button", { name: "Remove" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
    await row.waitFor({ state: "detached" });
    const text = await readFile(installation.file, "utf8");
    expect([text.includes(KEYS[0].secretId), text.includes(rotated)]).toEqual([false, false]);
  });

  test("a callback is tested after it was saved", async () => {
    await go(`${ONE}&view=answersTab`);
    await press("Add: callback");
    await fill("url", business.url);
    await fill("secret", CALLBACK_SECRET);
    await page.getByText("allowPrivate", { exact: true }).click();
    await press("Show the changes");
    await page.locator(".diff .added", { hasText: business.url }).waitFor();
    await press("Save and use now");
    await page.getByText("Saved, and in force.").waitFor();
    await press("Send a test");
    await page.getByText("delivered", { exact: true }).waitFor();
    expect(business.told.map(({ fileid }) => fileid)).toEqual(["huiyuan-callback-test"]);
  });

  test("a rule and a domain are added, and the domain is removed", async () => {
    await go(ONE);
    await press("Add: rules");
    await page.getByLabel("action", { exact: true }).selectOption("none");
    await fill("prefix", "private/");
    await press("Add: domains");
    await page.getByLabel("host", { exact: true }).last().fill("other.example.com");
    await press("Show the changes");
    await page.locator(".diff .added", { hasText: "other.example.com" }).waitFor();
    await press("Save and use now");
    await page.getByText("Saved, and in force.").waitFor();
    const other = { port: program.downloadPort, path: "/none.jpg", host: "other.example.com" };
    // Its token is missing.
    expect((await get(other)).status).toBe(403);
    await press("Remove: other.example.com");
    await page.getByText("The images stay in the bucket").waitFor();
    await press("Show the changes");
    await page.locator(".diff .removed", { hasText: "other.example.com" }).waitFor();
    await press("Save and use now");
    await page.getByText("Saved, and in force.").waitFor();
    expect((await get(other)).headers["x-errno"]).toBe("-104");
    const { projects } = parse(await readFile(installation.file, "utf8"));
    const [{ mirror }] = projects[0].buckets[0].domains;
    expect(mirror.rules).toEqual([{ match: { prefix: "private/" }, action: "none" }]);
  });

  test("an origin is added and moved up, and the breaker of its mirror is set", async () => {
    await go(ONE);
    const mirror = page.locator("[data-path$='domains[0].mirror']");
    const origins = mirror.locator("> [data-path$='mirror.origins']");
    await origins.getByRole("button", { name: "Add: origins" }).click();
    await origins.getByLabel("url", { exact: true }).last().fill("http://second.example.com");
    await mirror.locator("summary", { hasText: "breaker" }).last().click();
    await mirror.locator("[data-path$='mirror.breaker']").getByLabel("within", { exact: true }).fill("20s");
    await mirror.locator("[data-path$='mirror.timeouts']").getByLabel("connect", { exact: true }).fill("2s");
    await press("Show the changes");
    await press("Save and use now");
    await page.getByText("Saved, and in force.").waitFor();
    await press("Move up: origins 2");
    await page.locator(".diff .added", { hasText: "second.example.com" }).waitFor();
    await press("Save and use now");
    await page.getByText("Saved, and in force.").waitFor();
    const { projects } = parse(await readFile(installation.file, "utf8"));
    const saved = projects[0].buckets[0].domains[0].mirror;
    expect(saved.origins.map(({ url }: { url: string }) => url)).toEqual(["http://second.example.com", origin.url]);
    expect(saved).toMatchObject({ breaker: { within: "20s" }, timeouts: { connect: "2s" } });
  });

  test("the settings of the whole server: a fault marks its tab, and leads to its field", async () => {
    await go("/settings?view=limits");
    await fill("memory", "many");
    await page.getByRole("link", { name: "Server", exact: true }).click();
    await page.getByLabel("accessLog", { exact: true }).selectOption("misses");
    await press("Show the changes");
    await page.getByText("These settings cannot be saved:").waitFor();
    await page.getByRole("link", { name: "Limits ● has a fault" }).waitFor();
    await press("Go to the field: limits.memory");
    await expect.poll(() => focused(), PATIENCE).toBe("many");
    const field = page.getByLabel("memory", { exact: true });
    expect(await field.getAttribute("aria-invalid")).toBe("true");
    await field.fill("64MiB");
    await page.locator(".diff .added", { hasText: "misses" }).waitFor();
    await press("Save and use now");
    await page.getByText(/^Saved/).waitFor();
    const saved = parse(await readFile(installation.file, "utf8"));
    expect([saved.server.accessLog, saved.limits.memory]).toEqual(["misses", "64MiB"]);
  });

  test("a setting that the schema has got is in its form, with its words and its default", async () => {
    const greeting = { type: "string", enum: ["plain", "warm"], default: "plain", description: "How a page begins." };
    await page.route("**/api/v1/settings/schema", async (route) => {
      const answer = await route.fetch();
      const schema = await answer.json();
      schema.properties.limits.properties.greeting = greeting;
      schema.properties.projects.items.properties.buckets.items.properties.greeting = greeting;
      await route.fulfill({ response: answer, json: schema });
    });
    for (const path of ["/settings?view=limits", `${ONE}&view=access`]) {
      await go(path);
      await page.getByText("How a page begins.").waitFor();
      const field = page.getByLabel("greeting", { exact: true });
      expect(await field.locator("option").allTextContents()).toEqual(["plain (default)", "warm"]);
      await field.selectOption("warm");
      await page.getByText("1 change is not saved").waitFor();
      await press("Discard");
    }
    await page.unroute("**/api/v1/settings/schema");
  });

  test("the wizard shows a fault of the settings beside its field", async () => {
    await go("/buckets/new");
    await page.getByText("Download only; the images are on your own site").click();
    await fill("URL of the site", origin.url);
    await fill("Name of the bucket", "photos");
    await press("Continue");
    await press("Go on without a test");
    await page.getByText("This is a private address. Tick “The address is private” below").waitFor();
    await expect.poll(() => focused(), PATIENCE).toBe(origin.url);
    await page.getByText("The address is private", { exact: true }).click();
    await press("Go on without a test");
    const fault = page.locator(".field", { hasText: "Name of the bucket" }).locator(".fault");
    await fault.waitFor();
    expect(await fault.textContent()).not.toMatch(/Line|projects/);
    await expect.poll(() => focused(), PATIENCE).toBe("photos");
    await fill("Name of the bucket", "other");
    await fault.waitFor({ state: "detached" });
  });

  test("the wizard tidies addresses, and says beside the field that a domain is wrong or taken", async () => {
    await go("/buckets/new");
    const url = page.getByLabel("Public domain of the images", { exact: true });
    await url.fill("pictures.example.com");
    await url.blur();
    await expect.poll(() => url.inputValue(), PATIENCE).toBe("https://pictures.example.com");
    await url.fill("127.0.0.1:9000/base");
    await url.blur();
    await expect.poll(() => url.inputValue(), PATIENCE).toBe("http://127.0.0.1:9000/base");
    const domain = page.getByLabel("Domain", { exact: true });
    const fault = page.locator(".field", { has: domain }).locator(".fault");
    await domain.fill("img example.com");
    await press("Continue");
    await expect.poll(() => focused(), PATIENCE).toBe("img example.com");
    expect(await page.getByRole("button", { name: "Test now" }).count()).toBe(0);
    await domain.fill(`http://photos-${APPID}.localhost/`);
    await domain.blur();
    await expect.poll(() => domain.inputValue(), PATIENCE).toBe(`photos-${APPID}.localhost`);
    await url.fill("pictures.example.com");
    await press("Continue");
    await press("Go on without a test");
    await fault.getByText(/is bound before|is the default domain of another bucket/).waitFor();
    await url.fill("img.example.com");
    await domain.fill("img.example.com");
    await press("Go on without a test");
    await page.getByText("is a domain of this server, so fetches would loop").first().waitFor();
    expect(await page.getByRole("button", { name: "Save and use now" }).count()).toBe(0);
  });

  test("a change keeps the card of the test, and asks for another test", async () => {
    await go("/buckets/new");
    await page.getByText("Download only; the images are on your own site").click();
    await fill("URL of the site", origin.url);
    await page.getByText("The address is private").click();
    await press("Continue");
    await press("Test now");
    await page.getByText("It answers, but no image was tested.").waitFor();
    await fill("An image that is there", "2015/none");
    await page.getByText("changed: test again").waitFor();
    await press("Test again");
    await page.getByText("This path does not exist at the origin; try another.").waitFor();
    await fill("An image that is there", "2015/a.jpg");
    await press("Test again");
    await page.getByText(/^(The origin works\.|It works\. Warnings)/).waitFor();
    await page.getByText("More, rarely needed").click();
    await fill("Host header", "img.example.com");
    await page.getByText("changed: test again").waitFor();
    await page.getByText(/^\d+ checks passed$/).waitFor();
  });

  test("a file that is read-only is shown, and has no field to change", async () => {
    // Root may write every file, so the answer is changed.
    await page.route("**/api/v1/settings", async (route) => {
      const answer = await route.fetch();
      await route.fulfill({ response: answer, json: { ...(await answer.json()), readOnly: "it is a test" } });
    });
    await go(ONE);
    await page.getByText("The settings can be seen here, but not changed: it is a test.").waitFor();
    expect(await page.getByLabel("url", { exact: true }).first().getAttribute("readonly")).not.toBeNull();
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

  test("a removed bucket is served no more, and its images are there again after it was made anew", async () => {
    await installation.write(mirrored(origin.url));
    await expect.poll(() => statusOf("/2015/a.jpg"), PATIENCE).toBe(200);
    await go(ONE);
    await press("Remove the bucket …");
    await page.getByText("Its images stay on the disk").waitFor();
    await page.locator(".diff .removed", { hasText: '"photos"' }).waitFor();
    await press("Save and use now");
    await page.getByText("There is no bucket yet").waitFor();
    expect(await statusOf("/2015/a.jpg")).toBe(404);
    await installation.write(mirrored("http://127.0.0.1:65001"));
    await expect.poll(() => statusOf("/2015/a.jpg"), PATIENCE).toBe(200);
  });
});

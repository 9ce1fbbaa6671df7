// The switch of the sample site, with a real mirror in front: a stop waits for the pictures, or says how many it has.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type App, startApp } from "../../../../src/app.ts";
import type { PageServer } from "../../../../src/cli/trial/page-server.ts";
import type { SamplePicture } from "../../../../src/cli/trial/sample-pictures.ts";
import { startSampleSite } from "../../../../src/cli/trial/sample-site.ts";
import { makeTrialKeys, trialSettings } from "../../../../src/cli/trial/trial-settings.ts";
import { SILENT_LOG } from "../../../../src/core/log.ts";
import { noisyJpeg } from "../../../helpers/images.ts";

const picture = (name: string, bytes: Buffer): SamplePicture => {
  return { name, title: name, titleZh: "图", mediaType: "image/jpeg", bytes, width: 64, height: 64 };
};

let folder: string;
let site: PageServer | undefined;
let app: App | undefined;
let whole: readonly SamplePicture[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "huiyuan-stop-"));
  whole = [picture("a.jpg", await noisyJpeg(64, 64)), picture("晨雾.jpg", await noisyJpeg(65, 64))];
});

afterEach(async () => {
  await app?.stop();
  await site?.close();
  app = undefined;
  await rm(folder, { recursive: true, force: true });
});

const urlOf = (name: string) => `http://127.0.0.1:${app?.downloadPort}/images/${encodeURIComponent(name)}`;

async function start(pictures: readonly SamplePicture[], delayMs = 0): Promise<PageServer> {
  site = await startSampleSite({ pictures, mirrorUrl: urlOf, delayMs });
  const parts = { folder, originUrl: site.url, isPrivate: true, keys: makeTrialKeys() };
  app = await startApp({ settings: trialSettings(parts, { port: 0, adminPort: 0 }), log: SILENT_LOG });
  return site;
}

const press = async ({ url }: PageServer, action: string) =>
  (await fetch(`${url}/${action}`, { method: "POST", redirect: "manual", headers: { origin: url } })).status;
const stateOf = async ({ url }: PageServer) => (await fetch(`${url}/state`)).json();
const statusesAt = (urls: readonly string[]) =>
  Promise.all(
    urls.map(async (url) =>
      (await fetch(url))
        .arrayBuffer()
        .then(() => fetch(url))
        .then((r) => r.status),
    ),
  );

test("a stop before the first view waits until the mirror has every picture", async () => {
  const stopped = await start(whole, 200);
  expect(await press(stopped, "stop-anyway")).toBe(303);
  expect(await stateOf(stopped)).toMatchObject({ state: "serving" });
  expect(await press(stopped, "stop-serving")).toBe(303);
  expect(await stateOf(stopped)).toMatchObject({ state: "stopped", stored: 2, total: 2 });
  expect(await statusesAt(whole.map(({ name }) => `${stopped.url}/images/${encodeURIComponent(name)}`))).toEqual([
    503, 503,
  ]);
  expect(await statusesAt(whole.map(({ name }) => urlOf(name)))).toEqual([200, 200]);
  const page = await (await fetch(stopped.url)).text();
  expect(page).toContain('action="/resume-serving"');
  expect(page).toContain("the pictures are still served");
});

test("a stop tells how many pictures are stored while it waits, and a second press joins it", async () => {
  const slow = await start(whole, 500);
  const presses = Promise.all([press(slow, "stop-serving"), press(slow, "stop-serving")]);
  expect(await stateOf(slow)).toMatchObject({ state: "serving" });
  await expect.poll(() => stateOf(slow), { timeout: 10_000 }).toMatchObject({ stored: 2 });
  expect(await presses).toEqual([303, 303]);
  expect(await stateOf(slow)).toMatchObject({ state: "stopped", stored: 2, total: 2 });
});

test("a stop that cannot store a picture says so, and serves on until “Stop anyway”", async () => {
  const broken = await start([...whole, picture("b.jpg", Buffer.from("no picture"))]);
  expect(await press(broken, "stop-serving")).toBe(303);
  const page = await (await fetch(broken.url)).text();
  expect(page).toContain("<b>2 of 3 pictures are stored</b>; the others will be missing");
  expect(page).toContain('action="/stop-anyway"');
  expect(await statusesAt([`${broken.url}/images/a.jpg`])).toEqual([200]);
  expect(await press(broken, "stop-anyway")).toBe(303);
  expect(await statusesAt([`${broken.url}/images/a.jpg`, urlOf("a.jpg")])).toEqual([503, 200]);
  expect(await (await fetch(broken.url)).text()).toContain("the others are missing until you start it again");
  expect(await press(broken, "resume-serving")).toBe(303);
  expect(await statusesAt([`${broken.url}/images/a.jpg`])).toEqual([200]);
});

test("“Stop anyway” during a running “Try again” holds when that ends", async () => {
  const broken = await start([...whole, picture("b.jpg", Buffer.from("no picture"))]);
  await press(broken, "stop-serving");
  expect(await stateOf(broken)).toMatchObject({ state: "incomplete" });
  const again = press(broken, "stop-serving");
  await expect.poll(() => stateOf(broken)).toMatchObject({ stored: 2 });
  await press(broken, "stop-anyway");
  expect(await stateOf(broken)).toMatchObject({ state: "stopped" });
  expect(await again).toBe(303);
  expect(await stateOf(broken)).toMatchObject({ state: "stopped" });
});

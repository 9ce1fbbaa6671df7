// S3 is unreachable: the log has a few lines for many requests that only S3 could answer, and an image is served from
// the origin if S3 goes down between look-up and read.
import { afterAll, beforeAll, expect, test } from "vitest";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { callApi, fileForm, onceToken, uploadToken } from "../helpers/rest-api.ts";
import { head, response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { type ScriptedS3, startScriptedS3 } from "../helpers/scripted-s3.ts";
import { mirrorOf, oneBucket } from "../helpers/settings.ts";

const DOWNLOADS = 300;
const CALLS = 60;
const NOT_FOUND = head("404 Not Found", [["Content-Length", "0"]]);

let s3: ScriptedS3;
let installation: Installation;
let program: Program;
let origin: ScriptedOrigin;

function storeIn({ url: endpoint, region, accessKeyId, secretAccessKey }: ScriptedS3): object {
  const place = { endpoint, region, bucket: "pictures", accessKeyId, secretAccessKey, pathStyle: true };
  return { store: { type: "s3", ...place, allowPrivate: true } };
}

beforeAll(async () => {
  s3 = await startScriptedS3();
  const jpeg = await noisyJpeg(160, 120);
  origin = await startScriptedOrigin(({ target }, connection) =>
    connection.send(target.startsWith("/none") ? NOT_FOUND : response(jpeg)),
  );
  installation = await install(oneBucket(undefined, {}, storeIn(s3)));
  program = await installation.start();
});
afterAll(async () => {
  await program?.kill();
  await s3?.close();
  await origin?.close();
  await installation?.remove();
});

test(`${DOWNLOADS} downloads and ${CALLS} calls that fail while S3 is down write a dozen log lines`, async () => {
  const linesBefore = program.output.split("\n").length;
  s3.failure = () => "reset";
  const statuses = new Set<unknown>();
  for (let index = 0; index < DOWNLOADS; index += 1) {
    const answer = await get({ port: program.downloadPort, path: `/cold-${index}.jpg` });
    statuses.add(`${answer.status} ${answer.headers["x-errno"]}`);
  }
  expect([...statuses]).toEqual(["500 -101"]);
  const form = fileForm(await noisyJpeg(60, 40));
  for (let index = 0; index < CALLS; index += 1) {
    const upload = { form, path: `/new-${index}.jpg`, sign: uploadToken(`new-${index}.jpg`) };
    expect((await callApi({ port: program.downloadPort, ...upload })).code).toBe(-5989);
  }
  const lines = program.output
    .split("\n")
    .slice(linesBefore - 1)
    .filter(Boolean);
  expect(lines.filter((line) => line.includes("a request failed")).length).toBeGreaterThan(0);
  expect(lines.filter((line) => line.includes("an API call failed")).length).toBeGreaterThan(0);
  expect(lines.length, lines.join("\n")).toBeLessThanOrEqual(12);
});

test.each([
  ["downloaded", "/a.jpg"],
  ["processed", "/a.jpg?imageView2/2/w/50"],
])("an image %s when S3 goes down is served from the origin", async (_what, path) => {
  s3.failure = () => undefined;
  const settings = oneBucket(mirrorOf(origin.url), {}, storeIn(s3));
  const before = await install(settings);
  const after = await install(settings);
  const storing = await before.start();
  try {
    expect((await get({ port: storing.downloadPort, path: "/a.jpg" })).status).toBe(200);
    const names = () => [...s3.objects.keys()].filter((name) => name.endsWith("a.jpg"));
    await eventually(() => names().length > 0, "the image is in S3");
    expect(await storing.stop()).toBe(0);
    // Like another machine, or this one after its local copy was evicted.
    const fresh = await after.start();
    try {
      let isAway = false;
      s3.failure = (method, name) => {
        isAway ||= method === "GET" && names().includes(name);
        return isAway ? "reset" : undefined;
      };
      const answers = [await get({ port: fresh.downloadPort, path }), await get({ port: fresh.downloadPort, path })];
      expect(answers.map(({ status, headers }) => [status, headers["content-type"]])).toEqual([
        [200, "image/jpeg"],
        [200, "image/jpeg"],
      ]);
      expect(isAway).toBe(true);
    } finally {
      await fresh.kill();
    }
  } finally {
    await storing.kill();
    await before.remove();
    await after.remove();
  }
});

test("no request gets 404 while S3 is unreachable, even if the origin lacks the image", async () => {
  const rules = [{ match: { prefix: "none/" }, fallbackKey: "fall.jpg" }];
  const away = await install(oneBucket(mirrorOf(origin.url, { rules }), {}, storeIn(s3)));
  const { downloadPort: port, kill } = await away.start();
  try {
    s3.failure = () => ({ status: 503, code: "SlowDown" });
    const copy = callApi({ port, path: "/none.jpg/copy", method: "POST", sign: onceToken("none.jpg") });
    const calls = await Promise.all([callApi({ port, path: "/none.jpg" }), copy]);
    expect(calls.map(({ code }) => code)).toEqual([-5989, -199]);
    for (const path of ["/none.jpg", "/none/a.jpg", "/none/a.jpg?imageView2/2/w/50"]) {
      const { status, headers } = await get({ port, path });
      expect([path, status, headers["x-errno"]]).toEqual([path, 500, "-101"]);
    }
  } finally {
    s3.failure = () => undefined;
    await kill();
    await away.remove();
  }
});

test("an image fetched while S3 is down is soon revalidated, and the object in S3 wins once it is back", async () => {
  s3.failure = () => undefined;
  const settings = oneBucket(mirrorOf(origin.url), {}, storeIn(s3));
  const before = await install(settings);
  const after = await install(settings);
  const [uploader, fresh] = [await before.start(), await after.start()];
  try {
    const own = await noisyJpeg(60, 40);
    const upload = { form: fileForm(own), path: "/own.jpg", sign: uploadToken("own.jpg") };
    expect((await callApi({ port: uploader.downloadPort, ...upload })).code).toBe(0);
    s3.failure = () => ({ status: 503, code: "SlowDown" });
    const seen: unknown[] = [];
    const ask = async (path: string) => {
      const { status, headers, body } = await get({ port: fresh.downloadPort, path });
      seen.push([status, headers["cache-control"], headers["cache-status"]]);
      return body;
    };
    const shortly = "public, max-age=60";
    expect((await ask("/own.jpg")).equals(own)).toBe(false);
    await eventually(async () => {
      const { headers } = await get({ port: fresh.downloadPort, path: "/own.jpg" });
      return headers["cache-status"] === "huiyuan; hit; detail=spool";
    }, "the origin's image is queued");
    for (const path of ["/own.jpg", "/own.jpg", "/own.jpg?imageView2/2/w/50", "/own.jpg?imageView2/2/w/50"]) {
      await ask(path);
    }
    await ask("/other.jpg?imageView2/2/w/50");
    expect(seen).toEqual([
      [200, shortly, "huiyuan; fwd=uri-miss"],
      [200, shortly, "huiyuan; hit; detail=spool"],
      [200, shortly, "huiyuan; hit; detail=spool"],
      [200, shortly, expect.stringMatching(/^huiyuan; hit/)],
      [200, shortly, expect.stringMatching(/^huiyuan; hit/)],
      [200, shortly, "huiyuan; fwd=uri-miss"],
    ]);
    s3.failure = () => undefined;
    await eventually(async () => {
      const { body, headers } = await get({ port: fresh.downloadPort, path: "/own.jpg" });
      return body.equals(own) && headers["cache-control"] === "public, max-age=86400";
    }, "the upload is served");
  } finally {
    await uploader.kill();
    await fresh.kill();
    await before.remove();
    await after.remove();
  }
});

// Images without a local copy that are replaced or deleted in S3 between a request's look-up and its first byte.
import { afterAll, beforeAll, expect, test } from "vitest";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { type Installation, install, type Program } from "../helpers/program.ts";
import { callApi, fileForm, onceToken, uploadToken } from "../helpers/rest-api.ts";
import { type ScriptedS3, startScriptedS3 } from "../helpers/scripted-s3.ts";
import { APPID, oneBucket } from "../helpers/settings.ts";
import { createLatch } from "../helpers/spools.ts";

let s3: ScriptedS3;
let installation: Installation;
let program: Program;
let first: Buffer;
let second: Buffer;

beforeAll(async () => {
  s3 = await startScriptedS3();
  first = await noisyJpeg(1200, 900);
  second = await noisyJpeg(1204, 900);
  const { url: endpoint, region, accessKeyId, secretAccessKey } = s3;
  const place = { endpoint, region, bucket: "pictures", accessKeyId, secretAccessKey, pathStyle: true };
  const limits = { disk: "1MiB", memory: "1MiB", hotObjectSize: "1KiB" };
  installation = await install(
    oneBucket(undefined, {}, { store: { type: "s3", ...place, allowPrivate: true }, limits }),
  );
  program = await installation.start();
});
afterAll(async () => {
  await program?.kill();
  await s3?.close();
  await installation?.remove();
});

async function upload(fileid: string, image: Buffer): Promise<void> {
  const call = { path: `/${fileid}`, form: fileForm(image), sign: uploadToken(fileid) };
  expect((await callApi({ port: program.downloadPort, ...call })).code).toBe(0);
}

async function remove(fileid: string): Promise<void> {
  const call = { path: `/${fileid}/del`, method: "POST", sign: onceToken(fileid) } as const;
  expect((await callApi({ port: program.downloadPort, ...call })).code).toBe(0);
}

const RANGE = { range: "bytes=100-199" };

test.each([
  ["deleted gets 404", "a.jpg", {}, 404],
  ["deleted gets 404, also for a range", "b.jpg", RANGE, 404],
  ["replaced gets the new one", "c.jpg", {}, 200],
  ["replaced gets the new one, also for a range", "d.jpg", RANGE, 206],
] as const)("a request for an image that was %s", async (_what, fileid, headers, status) => {
  await upload(fileid, first);
  const [asked, changed] = [createLatch(), createLatch()];
  s3.failure = async (method, name) => {
    if (method !== "GET" || name !== `${APPID}/photos/${fileid}`) return undefined;
    asked.open();
    await changed.opened;
    return undefined;
  };
  const answer = get({ port: program.downloadPort, path: `/${fileid}`, headers });
  await asked.opened;
  await remove(fileid);
  if (status !== 404) await upload(fileid, second);
  changed.open();
  const { body, ...told } = await answer;
  expect(told).toMatchObject({ status, isWhole: true });
  if (status === 200) expect(body.equals(second)).toBe(true);
  if (status === 206) expect(body.equals(second.subarray(100, 200))).toBe(true);
});

// What the log says while S3 is away and clients go on asking for what only S3 could have: a few lines, not one for each.
import { afterAll, beforeAll, expect, test } from "vitest";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { type Installation, install, type Program } from "../helpers/program.ts";
import { callApi, fileForm, uploadToken } from "../helpers/rest-api.ts";
import { type ScriptedS3, startScriptedS3 } from "../helpers/scripted-s3.ts";
import { oneBucket } from "../helpers/settings.ts";

const DOWNLOADS = 300;
const CALLS = 60;

let s3: ScriptedS3;
let installation: Installation;
let program: Program;

beforeAll(async () => {
  s3 = await startScriptedS3();
  const { url: endpoint, region, accessKeyId, secretAccessKey } = s3;
  const place = { endpoint, region, bucket: "pictures", accessKeyId, secretAccessKey, pathStyle: true };
  installation = await install(oneBucket(undefined, {}, { store: { type: "s3", ...place, allowPrivate: true } }));
  program = await installation.start();
});
afterAll(async () => {
  await program?.kill();
  await s3?.close();
  await installation?.remove();
});

test(`${DOWNLOADS} downloads and ${CALLS} calls that fail for it are told in a dozen lines`, async () => {
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

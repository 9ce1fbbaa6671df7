// Two programs with one S3 bucket and a data folder each, as behind a load balancer: what they share and what they do
// not (docs/production/nodes.md).
import { afterAll, beforeAll, expect, test } from "vitest";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { callApi, fileForm, onceToken, uploadToken } from "../helpers/rest-api.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { type ScriptedS3, startScriptedS3 } from "../helpers/scripted-s3.ts";
import { APPID, KEYS, mirrorOf } from "../helpers/settings.ts";

let s3: ScriptedS3;
let origin: ScriptedOrigin;
let installations: readonly Installation[];
let first: Program;
let second: Program;
let jpeg: Buffer;
let asked = 0;

beforeAll(async () => {
  s3 = await startScriptedS3();
  jpeg = await noisyJpeg(160, 120);
  origin = await startScriptedOrigin((_request, connection) => {
    asked += 1;
    return connection.send(response(jpeg));
  });
  const { url: endpoint, region, accessKeyId, secretAccessKey } = s3;
  const place = { endpoint, region, bucket: "pictures", accessKeyId, secretAccessKey, pathStyle: true };
  const settings = {
    store: { type: "s3", ...place, allowPrivate: true },
    projects: [
      {
        appid: APPID,
        keys: [KEYS[0]],
        buckets: [
          { name: "photos", domains: [{ host: "*", mirror: mirrorOf(origin.url) }] },
          {
            name: "once",
            token: "required",
            oneTimeDownloads: "once",
            domains: [{ host: "once.example", mirror: mirrorOf(origin.url) }],
          },
        ],
      },
    ],
  };
  installations = [await install(settings), await install(settings)];
  [first, second] = (await Promise.all(installations.map((each) => each.start()))) as [Program, Program];
});
afterAll(async () => {
  await Promise.all([first?.kill(), second?.kill()]);
  await s3?.close();
  await origin?.close();
  for (const each of installations ?? []) await each.remove();
});

const at = (program: Program, path: string, host = "any.example") => get({ port: program.downloadPort, path, host });

test("an image uploaded at one server is served by the other", async () => {
  const call = { path: "/up.jpg", form: fileForm(jpeg), sign: uploadToken("up.jpg") };
  expect((await callApi({ port: first.downloadPort, ...call })).code).toBe(0);
  const answer = await at(second, "/up.jpg");
  expect([answer.status, answer.body.equals(jpeg)]).toEqual([200, true]);
});

test("an image that one server has stored is not requested from the origin by the other", async () => {
  await at(first, "/mirrored.jpg");
  await eventually(() => s3.objects.has(`${APPID}/photos/mirrored.jpg`), "the image is in S3");
  const before = asked;
  expect((await at(second, "/mirrored.jpg")).status).toBe(200);
  expect(asked).toBe(before);
});

test("an image deleted at one server stays in the memory of the other until it is deleted there", async () => {
  await at(first, "/gone.jpg");
  await eventually(() => s3.objects.has(`${APPID}/photos/gone.jpg`), "the image is in S3");
  await at(second, "/gone.jpg");
  const remove = (program: Program) =>
    callApi({ port: program.downloadPort, path: "/gone.jpg/del", method: "POST", sign: onceToken("gone.jpg") });
  expect((await remove(first)).code).toBe(0);
  expect((await at(first, "/gone.jpg")).status).toBe(404);
  expect((await at(second, "/gone.jpg")).status).toBe(200);
  await remove(second);
  expect((await at(second, "/gone.jpg")).status).toBe(404);
});

test("each server knows only the one-time tokens that were spent at itself", async () => {
  const path = `/secret.jpg?sign=${encodeURIComponent(onceToken("secret.jpg", "once"))}`;
  const statusAt = async (program: Program) => (await at(program, path, "once.example")).status;
  expect([await statusAt(first), await statusAt(first)]).toEqual([200, 403]);
  expect([await statusAt(second), await statusAt(second)]).toEqual([200, 403]);
});

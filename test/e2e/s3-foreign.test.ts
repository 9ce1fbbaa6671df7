// An object that another tool has put into S3 and that is no image, under a name that a mirrored domain has too: the
// responses that clients get, and the object's end.
import { afterAll, beforeAll, expect, test } from "vitest";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { type Installation, install, type Program } from "../helpers/program.ts";
import { callApi, fileForm, onceToken, uploadToken } from "../helpers/rest-api.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { type ScriptedS3, startScriptedS3 } from "../helpers/scripted-s3.ts";
import { APPID, mirrorOf, oneBucket } from "../helpers/settings.ts";

let s3: ScriptedS3;
let origin: ScriptedOrigin;
let installation: Installation;
let program: Program;
let jpeg: Buffer;

beforeAll(async () => {
  s3 = await startScriptedS3();
  jpeg = await noisyJpeg(160, 120);
  origin = await startScriptedOrigin((_request, connection) => connection.send(response(jpeg)));
  const { url: endpoint, region, accessKeyId, secretAccessKey } = s3;
  const place = { endpoint, region, bucket: "pictures", accessKeyId, secretAccessKey, pathStyle: true };
  const store = { type: "s3", ...place, allowPrivate: true };
  installation = await install(oneBucket(mirrorOf(origin.url), {}, { store }));
  program = await installation.start();
});
afterAll(async () => {
  await program?.kill();
  await s3?.close();
  await origin?.close();
  await installation?.remove();
});

const nameOf = (fileid: string) => `${APPID}/photos/${fileid}`;
const put = (fileid: string) => s3.objects.set(nameOf(fileid), { bytes: Buffer.from("not an image"), headers: {} });
const told = (path: string) =>
  get({ port: program.downloadPort, path }).then(({ status, headers }) => [
    status,
    headers["cache-status"],
    headers["cache-control"],
  ]);

test.each([
  ["the image itself", "a.jpg", ""],
  ["a variant", "b.jpg", "?imageView2/2/w/50"],
])("the origin's image is passed on and not reported as stored: %s", async (_what, fileid, query) => {
  put(fileid);
  for (const _time of [1, 2]) {
    expect(await told(`/${fileid}${query}`)).toEqual([200, "huiyuan; fwd=uri-miss", "public, max-age=60"]);
  }
  expect(s3.objects.get(nameOf(fileid))?.bytes.toString()).toBe("not an image");
});

test("the log reports it in one line a minute", async () => {
  put("c.jpg");
  await told("/c.jpg");
  expect(program.output.split("\n").filter((line) => line.includes("another tool"))).toHaveLength(1);
});

test("an image whose name is too long for S3 is passed on unstored each time", async () => {
  const fileid = `${"e".repeat(1_010)}.jpg`;
  for (const _time of [1, 2]) {
    expect(await told(`/${fileid}`)).toEqual([200, "huiyuan; fwd=uri-miss", "public, max-age=60"]);
  }
  expect(s3.asked.some((line) => line.includes(fileid))).toBe(false);
});

test("the REST API reports no such file, and an upload replaces it", async () => {
  put("d.jpg");
  const { downloadPort: port } = program;
  expect((await callApi({ port, path: "/d.jpg" })).code).toBe(-197);
  const copy = { path: "/d.jpg/copy", method: "POST", sign: onceToken("d.jpg") } as const;
  expect((await callApi({ port, ...copy })).code).toBe(-197);
  const upload = { form: fileForm(jpeg), path: "/d.jpg", sign: uploadToken("d.jpg") };
  expect((await callApi({ port, ...upload })).code).toBe(0);
  expect(s3.objects.get(nameOf("d.jpg"))?.bytes.equals(jpeg)).toBe(true);
  expect((await callApi({ port, path: "/d.jpg" })).code).toBe(0);
  expect((await told("/d.jpg"))[1]).toMatch(/hit/);
});

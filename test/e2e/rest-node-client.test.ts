// The real npm package tencentyun@2.0.4, unmodified except for its endpoint, against the program: uploads, stats,
// copies and deletes, with names that its encoding treats specially.
import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { get, pathOf } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { type Installation, install, type Program, within } from "../helpers/program.ts";
import { APPID, KEYS, oneBucket } from "../helpers/settings.ts";

interface SdkResult {
  readonly httpcode: number;
  readonly code: number;
  readonly message: string;
  readonly data: {
    readonly downloadUrl?: string;
    readonly url?: string;
    readonly fileid?: string;
    readonly info?: unknown;
    readonly [name: string]: unknown;
  };
}
type Done = (result: SdkResult) => void;
interface Sdk {
  readonly conf: { setAppInfo(appid: string, id: string, key: string): void; API_IMAGE_END_POINT_V2: string };
  readonly imagev2: {
    upload(file: Buffer | string, bucket: string, fileid: string, done: Done, userid?: string, context?: string): void;
    stat(bucket: string, fileid: string, done: Done): void;
    copy(bucket: string, fileid: string, done: Done): void;
    delete(bucket: string, fileid: string, done: Done): void;
  };
}

// CommonJS of 2016, without types.
const require = createRequire(import.meta.url);
const sdk = require("tencentyun") as Sdk;
const HOST = `photos-${APPID}.localhost`;

let jpeg: Buffer;
let installation: Installation;
let program: Program;

const call = (what: string, run: (done: Done) => void) =>
  within(new Promise<SdkResult>(run), 10_000, () => `no answer to ${what}`);
const upload = (file: Buffer | string, fileid: string) =>
  call(`upload ${fileid}`, (done) => sdk.imagev2.upload(file, "photos", fileid, done, undefined, '{"user":7}'));
const stat = (fileid: string) => call(`stat ${fileid}`, (done) => sdk.imagev2.stat("photos", fileid, done));
const copy = (fileid: string) => call(`copy ${fileid}`, (done) => sdk.imagev2.copy("photos", fileid, done));
const remove = (fileid: string) => call(`delete ${fileid}`, (done) => sdk.imagev2.delete("photos", fileid, done));

const download = (url: string | undefined) => {
  const { host, pathname } = new URL(url ?? "");
  return get({ port: program.downloadPort, host, path: pathname });
};

beforeAll(async () => {
  jpeg = await noisyJpeg(640, 480);
  installation = await install(oneBucket(undefined));
  program = await installation.start();
  sdk.conf.setAppInfo(APPID, KEYS[0].secretId, KEYS[0].secretKey);
  sdk.conf.API_IMAGE_END_POINT_V2 = `http://127.0.0.1:${program.downloadPort}/photos/v2/`;
});
afterAll(async () => {
  await program?.stop();
  await installation?.remove();
});

describe("tencentyun@2.0.4", () => {
  test.each([
    "2015/07/17/abc.jpg",
    "with blank.jpg",
    "one+two.jpg",
    "100%25.jpg",
    "50%.jpg",
    "照片/回源.jpg",
    "/begins with a slash",
    "a//b/",
    "ends/copy",
    "ends/del",
    "quotes'\"<>&=?#.jpg",
    "~tilde(1)!*.jpg",
  ])("uploads, stats, copies and deletes %s", async (fileid) => {
    const uploaded = await upload(jpeg, fileid);
    expect(uploaded).toEqual({
      httpcode: 200,
      code: 0,
      message: "SUCCESS",
      data: {
        downloadUrl: `http://${HOST}:${program.downloadPort}${pathOf(fileid).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)}`,
        fileid,
        url: expect.stringContaining(`http://127.0.0.1:${program.downloadPort}/photos/v2/${APPID}/photos/0/`),
        info: [{ "0": { width: 640, height: 480 } }],
      },
    });
    const shown = await download(uploaded.data.downloadUrl);
    expect([shown.status, shown.body.equals(jpeg)]).toEqual([200, true]);
    expect(await stat(fileid)).toEqual({
      httpcode: 200,
      code: 0,
      message: "SUCCESS",
      data: {
        downloadUrl: uploaded.data.downloadUrl,
        fileid,
        uploadTime: expect.stringMatching(/^\d{10}$/),
        size: String(jpeg.byteLength),
        md5: createHash("md5").update(jpeg).digest("hex"),
        width: "640",
        height: "480",
      },
    });
    const copied = await copy(fileid);
    expect([copied.httpcode, copied.code]).toEqual([200, 0]);
    const copyId = copied.data.url?.split("/").at(-1) ?? "";
    expect(copyId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/);
    expect(await remove(fileid)).toEqual({ httpcode: 200, code: 0, message: "SUCCESS", data: {} });
    expect((await stat(fileid)).code).toBe(-197);
    expect((await download(uploaded.data.downloadUrl)).status).toBe(404);
    expect((await download(copied.data.downloadUrl)).body.equals(jpeg)).toBe(true);
  });

  test("uploads a file from the disk without a name, and gets the generated one", async () => {
    const path = join(installation.folder, "picture.jpg");
    await writeFile(path, jpeg);
    const { code, data } = await upload(path, "");
    expect([code, data.fileid]).toEqual([0, expect.stringMatching(/^[0-9a-f-]{36}$/)]);
    expect((await download(data.downloadUrl)).body.equals(jpeg)).toBe(true);
  });

  test("gets the code of each failure, and empty data", async () => {
    expect(await upload(jpeg, "twice.jpg")).toMatchObject({ code: 0 });
    expect(await upload(jpeg, "twice.jpg")).toEqual({
      httpcode: 400,
      code: -1886,
      message: "图片fileid已经存在",
      data: {},
    });
    expect(await copy("nowhere.jpg")).toMatchObject({ httpcode: 400, code: -197, data: { url: "", downloadUrl: "" } });
    expect(await remove("nowhere.jpg")).toMatchObject({ httpcode: 400, code: -197 });
    expect(await upload(Buffer.from("no picture at all"), "text.jpg")).toMatchObject({ httpcode: 400, code: -1893 });
  });
});

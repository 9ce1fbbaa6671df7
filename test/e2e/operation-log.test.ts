// The operation log and the usage of buckets as an operator reads them: after uploads, queries, copies and deletes by
// clients and operators, after downloads, and after a kill. One server for all; each test continues after those before
// it.
import { afterAll, beforeAll, expect, test } from "vitest";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { loadedHuiyuan } from "../helpers/loaded-program.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { callApi, fileForm, makeForm, onceToken, tokenFor, uploadToken } from "../helpers/rest-api.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { freePort } from "../helpers/services.ts";
import { KEYS, mirrorOf, oneBucket } from "../helpers/settings.ts";

const BUCKET = "10001234/photos";
let jpeg: Buffer;
let adminPort: number;
let origin: ScriptedOrigin;
let installation: Installation;
let program: Program | undefined;

beforeAll(async () => {
  jpeg = await noisyJpeg(200, 100);
  origin = await startScriptedOrigin(async ({ target }, connection) => {
    const isMissing = target.includes("missing");
    await connection.send(isMissing ? response("", { status: "404 Not Found" }) : response(jpeg));
  });
  adminPort = await freePort();
  const server = { adminPort, trustedProxies: ["127.0.0.1"] };
  installation = await install(oneBucket(mirrorOf(origin.url), {}, { server }));
  program = await installation.start();
  await workOnIt();
}, 60_000);
afterAll(async () => {
  await program?.kill();
  await origin?.close();
  await installation?.remove();
});

const command = (...args: string[]) => loadedHuiyuan([...args, "--config", installation.file]);
const jsonLines = (text: string) =>
  text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
const logged = async (...args: string[]) => jsonLines((await command("log", "--json", ...args)).out);
const used = async () => jsonLines((await command("usage", "--json")).out);

const port = () => program?.downloadPort ?? 0;
const download = (path: string) => get({ port: port(), path });
const upload = (fileid: string, sign = uploadToken()) =>
  callApi({
    port: port(),
    path: `/${encodeURIComponent(fileid)}`,
    sign,
    form: fileForm(jpeg),
    headers: { "user-agent": 'client "of" 2016', "x-forwarded-for": "203.0.113.7" },
  });

const FORGED = tokenFor({ life: 3_600, key: { secretId: KEYS[0].secretId, secretKey: "another" } });

async function workOnIt(): Promise<void> {
  expect((await upload("a,b.jpg")).code).toBe(0);
  expect((await upload("a,b.jpg")).code).toBe(-1886);
  expect((await upload("forged.jpg", FORGED)).code).toBe(-97);
  expect(
    (await callApi({ port: port(), target: `/photos/v2/${BUCKET}/0/a,b.jpg?x=1&sign=${uploadToken()}&%73ign=SECRET` }))
      .code,
  ).toBe(0);
  const copy = { port: port(), path: "/a,b.jpg/copy", method: "POST", sign: onceToken("a,b.jpg") };
  expect((await callApi(copy)).code).toBe(0);
  expect((await callApi({ ...copy, path: "/a,b.jpg/del", sign: onceToken("a,b.jpg") })).code).toBe(0);
}

test("the command and the admin port return the same CSV", async () => {
  const fromCommand = await command("log", "--csv", "--all");
  const answer = await fetch(`http://127.0.0.1:${adminPort}/api/v1/log.csv`);
  expect(answer.headers.get("content-type")).toBe("text/csv; charset=utf-8");
  expect(fromCommand).toMatchObject({ code: 0, err: "", out: await answer.text() });
  const lines = fromCommand.out.split("\r\n");
  expect(lines.length).toBe(8);
  expect(lines[0]).toMatch(/^reporttime,time,bucketid,appid,fileid,url,op,realclientip,errno,errmsg,/);
  expect(lines[1]).toContain(',photos,10001234,"a,b.jpg",');
  expect(lines[1]).toContain(",1,203.0.113.7,0,SUCCESS,upload,");
  expect(lines[1]).toContain(',"client ""of"" 2016",');
  const some = await fetch(`http://127.0.0.1:${adminPort}/api/v1/log.csv?operation=copy`);
  expect((await some.text()).split("\r\n").length).toBe(3);
});

test("usage counts requests and bytes by day, downloads included, and the stored objects", async () => {
  await download("/mirrored.jpg");
  await eventually(
    async () => String((await download("/mirrored.jpg")).headers["cache-status"]).includes("hit"),
    "a hit",
  );
  await get({ port: port(), path: "/mirrored.jpg", headers: { range: "bytes=0-99" } });
  await get({ port: port(), path: "/mirrored.jpg", method: "HEAD" });
  expect((await download("/missing.jpg")).status).toBe(404);
  const [day, ...others] = await used();
  expect(others).toEqual([]);
  expect(day).toMatchObject({
    day: new Date().toISOString().slice(0, 10),
    bucket: BUCKET,
    operations: {
      upload: { requests: 3, failures: 2, bytes: jpeg.byteLength },
      query: { requests: 1, failures: 0, bytes: 0 },
      copy: { requests: 1, failures: 0, bytes: 0 },
      delete: { requests: 1, failures: 0, bytes: 0 },
    },
  });
  const { requests, failures, bytes } = day.operations.download;
  // All responses but the range, the HEAD and the missing image were whole.
  expect({ failures, bytes }).toEqual({ failures: 1, bytes: (requests - 3) * jpeg.byteLength + 100 });
  await eventually(async () => (await used())[0].stored !== undefined, "the stored objects are counted");
  const human = await command("usage", "--bucket", "photos");
  expect(human.out).toMatch(/^day +bucket +downloads +sent +uploads/);
  expect(human.out.trimEnd().split("\n").length).toBe(2);
}, 60_000);

test("log lists the operations of clients and operators, in order, with their results", async () => {
  expect((await command("delete", "operator.jpg", "--bucket", BUCKET)).code).toBe(0);
  expect((await command("undelete", "operator.jpg", "--bucket", BUCKET)).code).toBe(0);
  const entries = await logged();
  expect(entries.map(({ operation, fileid, code }) => [operation, fileid, code])).toEqual([
    ["upload", "a,b.jpg", 0],
    ["upload", "a,b.jpg", -1886],
    ["upload", "forged.jpg", -97],
    ["query", "a,b.jpg", 0],
    ["copy", "a,b.jpg", 0],
    ["delete", "a,b.jpg", 0],
    ["undelete", "operator.jpg", 0],
  ]);
  expect(entries[0]).toMatchObject({
    bucket: BUCKET,
    client: "203.0.113.7",
    userAgent: 'client "of" 2016',
    bytes: jpeg.byteLength,
    message: "SUCCESS",
    url: `http://web.image.myqcloud.com/photos/v2/${BUCKET}/0/a%2Cb.jpg`,
  });
  expect(entries[3].url).toBe(`http://web.image.myqcloud.com/photos/v2/${BUCKET}/0/a,b.jpg?x=1&%73ign=…`);
  expect(JSON.stringify(entries)).not.toContain("SECRET");
  expect(JSON.stringify(entries)).not.toContain("sign=");
  expect(await logged("--operation", "delete", "--fileid", "a,b.jpg")).toMatchObject([{ operation: "delete" }]);
  expect((await logged("--latest", "2")).map(({ operation }) => operation)).toEqual(["delete", "undelete"]);
  expect((await logged("--all", "--from", "2020-01-01", "--bucket", "photos")).length).toBe(7);
  expect(await logged("--to", "2020-01-01")).toEqual([]);
  const human = await command("log", "--operation", "upload", "--latest", "1");
  expect(human.out).toMatch(/^\S+ \S+ {2}upload +-97 +0 {2}203\.0\.113\.7 +10001234\/photos {2}forged\.jpg\n$/);
}, 60_000);

test("an upload in slices is one operation, and so is a refused slice", async () => {
  // The bucket has the bytes of the other image already, and would need no slices.
  const image = await noisyJpeg(220, 100);
  const before = (await logged("--all")).length;
  const packet = (fields: Record<string, string>, slice?: Buffer) =>
    callApi({
      port: port(),
      path: "/slices.jpg",
      sign: uploadToken(),
      form: makeForm([
        ...Object.entries({ op: "upload_slice", ...fields }).map(([name, content]) => ({ name, content })),
        ...(slice === undefined ? [] : [{ name: "fileContent", content: slice, filename: "a" }]),
      ]),
    });
  const { createHash } = await import("node:crypto");
  const sha = createHash("sha1").update(image).digest("hex");
  const { session } = (await packet({ sha, filesize: String(image.byteLength), slice_size: "4096" })).data;
  for (let offset = 0; offset < image.byteLength; offset += 4_096) {
    await packet({ session: String(session), offset: String(offset) }, image.subarray(offset, offset + 4_096));
  }
  expect((await packet({ session: "wrong", offset: "0" }, image.subarray(0, 10))).code).toBe(-5983);
  expect((await logged("--all")).slice(before)).toMatchObject([
    { operation: "upload", fileid: "slices.jpg", code: 0, bytes: image.byteLength },
    { operation: "upload", code: -5983, bytes: 0 },
  ]);
});

test("log and usage survive a kill, and can be read without a server", async () => {
  await download("/mirrored.jpg");
  const before = await logged();
  const [counted] = await used();
  await program?.kill();
  program = undefined;
  expect(await logged()).toEqual(before);
  expect((await used())[0].operations).toEqual(counted.operations);
  const deleted = await command("delete", "slices.jpg", "--bucket", BUCKET);
  expect(deleted.code).toBe(0);
  expect((await logged("--latest", "1"))[0]).toMatchObject({ operation: "delete", fileid: "slices.jpg", code: 0 });
}, 60_000);

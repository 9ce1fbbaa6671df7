// Objects through the admin port: upload, the images that its pages show, and their variants.
import { connect } from "node:net";
import sharp from "sharp";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type BusinessServer, startBusinessServer } from "../helpers/business-server.ts";
import { get } from "../helpers/get.ts";
import { noisyJpeg, noisyTiff } from "../helpers/images.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { mirrorOf, oneBucket } from "../helpers/settings.ts";

const SECRET = "the secret of the callback";
const SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>alert(1)</script></svg>';
let jpeg: Buffer;
let asked: string[] = [];
let origin: ScriptedOrigin;
let business: BusinessServer;
let installation: Installation;
let program: Program;

beforeAll(async () => {
  jpeg = await noisyJpeg(300, 200);
  origin = await startScriptedOrigin(async ({ target, headers }, connection) => {
    asked.push(`${target} ${headers["x-csrf-token"] ?? "-"}`);
    if (target.endsWith("failing.jpg")) return connection.send(response("", { status: "503 Busy" }));
    await connection.send(response(target.endsWith(".svg") ? Buffer.from(SVG) : jpeg));
  });
  business = await startBusinessServer(SECRET);
  const bucket = {
    token: "required",
    originalProtection: true,
    referers: { mode: "allow", domains: ["www.example.com"] },
    aliases: { small: "imageView2/2/w/20", modern: "imageMogr2/thumbnail/30x/format/auto" },
    callback: { url: business.url, secret: SECRET, allowPrivate: true },
    publicDomain: "img.example.com",
  };
  const rules = [{ match: { prefix: "own/" }, passHeaders: { allow: ["*"] } }];
  const mirror = mirrorOf(origin.url, { rules });
  const projects = oneBucket(mirror, bucket, { server: { adminToken: "s3cret" }, limits: { objectSize: "1MB" } });
  installation = await install(projects);
  program = await installation.start();
});
afterAll(async () => {
  await program?.kill();
  await installation?.remove();
  await business?.close();
  await origin?.close();
});

const api = (path: string, init: RequestInit = {}, token = "s3cret") =>
  fetch(`http://127.0.0.1:${program.adminPort}/api/v1${path}`, {
    ...init,
    headers: { authorization: `Bearer ${token}`, ...init.headers },
  });
const upload = (query: string, body: Buffer | string = jpeg) =>
  api(`/objects/upload?${query}`, { method: "PUT", body: typeof body === "string" ? body : new Uint8Array(body) });
const lastInLog = async () => ((await (await api("/log?latest=1")).json()) as { entries: object[] }).entries[0];

test("PUT /objects/upload stores the image, tells the business server, and writes both logs", async () => {
  const answer = await upload("key=up/a.jpg&magiccontext=mine");
  expect(answer.status).toBe(200);
  expect(await answer.json()).toMatchObject({
    bucket: "10001234/photos",
    object: { key: "up/a.jpg", size: jpeg.byteLength, width: 300, provenance: { via: "upload" } },
    url: `http://img.example.com:${program.downloadPort}/up/a.jpg`,
    callback: { code: 0, answer: '{"noted":true}' },
  });
  expect(business.told.at(-1)).toMatchObject({ fileid: "up/a.jpg", magicContext: "mine", size: jpeg.byteLength });
  await eventually(async () => JSON.stringify(await lastInLog()).includes("up/a.jpg"), "the upload is in the log");
  expect(await lastInLog()).toMatchObject({ operation: "upload", code: 0, bytes: jpeg.byteLength });
  await eventually(() => /"audit":\{"operation":"upload"/.test(program.output), "the audit line is written");
});

test("PUT /objects/upload refuses a name that is taken with -1886, and replaces it only if it is told to", async () => {
  const other = await noisyJpeg(31, 20);
  const stat = async () => (await api("/objects/stat?name=taken.jpg")).json();
  await upload("key=taken.jpg");
  const refused = await upload("key=taken.jpg", other);
  expect([refused.status, await refused.json()]).toEqual([400, expect.objectContaining({ code: -1886 })]);
  expect(await stat()).toMatchObject({ object: { width: 300 } });
  await eventually(async () => JSON.stringify(await lastInLog()).includes("-1886"), "the refusal is in the log");
  expect((await upload("key=taken.jpg&replace=true", other)).status).toBe(200);
  expect(await stat()).toMatchObject({ object: { width: 31 } });
});

test("PUT /objects/upload takes a TIFF and an SVG, which no decoder reads", async () => {
  for (const [name, image] of [
    ["t.tiff", await noisyTiff(30, 20)],
    ["t.svg", Buffer.from(SVG)],
  ] as const) {
    expect((await upload(`key=up/${name}`, image.subarray(0, -1))).status).toBe(400);
    const answer = await upload(`key=up/${name}`, image);
    expect([answer.status, await answer.json()]).toEqual([
      200,
      expect.objectContaining({ object: expect.objectContaining({ size: image.byteLength }) }),
    ]);
  }
});

test.each([
  { why: "no image", query: "key=r.jpg", body: "<html>", code: -1893 },
  { why: "an empty body", query: "key=r.jpg", body: "", code: -5995 },
  { why: "more than limits.objectSize", query: "key=r.jpg", body: Buffer.alloc(1_000_001), code: -5995 },
  { why: "another MD5", query: "key=r.jpg&md5=00", body: undefined, code: -1898 },
  { why: "a key that is too long for clients", query: `key=${"r".repeat(129)}`, body: undefined, code: -103 },
  { why: "a key with a dot segment", query: "key=../r.jpg", body: undefined, code: -106 },
  { why: "a flag that is none", query: "key=r.jpg&replace=yes", body: undefined, code: -103 },
])("PUT /objects/upload refuses $why and stores nothing", async ({ query, body, code }) => {
  const answer = await upload(query, body);
  expect([answer.status, await answer.json()]).toEqual([400, expect.objectContaining({ code })]);
  expect(await (await api("/objects?prefix=r")).json()).toMatchObject({ objects: [] });
});

test("PUT /objects/upload of a caller that leaves stores nothing", async () => {
  const socket = connect(program.adminPort, "127.0.0.1");
  const head = `PUT /api/v1/objects/upload?key=cut.jpg HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer s3cret\r\n`;
  socket.write(`${head}Content-Length: ${jpeg.byteLength}\r\n\r\n`);
  socket.write(jpeg.subarray(0, 5_000), () => socket.destroy());
  await eventually(() => program.output.includes("cut.jpg"), "the refusal is in the audit log");
  expect(await (await api("/objects/stat?name=cut.jpg")).json()).toMatchObject({ state: "absent" });
});

test("GET /objects/image shows an original that clients may not see, privately and with validators", async () => {
  await upload("key=i.jpg&replace=true");
  expect((await get({ port: program.downloadPort, path: "/i.jpg" })).status).toBe(403);
  const answer = await api("/objects/image?key=i.jpg");
  expect(answer.status).toBe(200);
  expect(Buffer.from(await answer.arrayBuffer())).toEqual(jpeg);
  expect(Object.fromEntries(answer.headers)).toMatchObject({
    "content-type": "image/jpeg",
    "cache-control": "private, no-cache",
    "x-content-type-options": "nosniff",
    "content-security-policy": expect.stringContaining("sandbox"),
    "cross-origin-resource-policy": "same-origin",
  });
  expect(answer.headers.get("access-control-allow-origin")).toBeNull();
  const etag = answer.headers.get("etag") ?? "";
  const again = await api("/objects/image?key=i.jpg", { headers: { "if-none-match": etag } });
  expect([again.status, again.headers.get("etag")]).toEqual([304, etag]);
  expect((await api("/objects/image?key=i.jpg", {}, "wrong")).status).toBe(401);
});

test.each([
  { instruction: "small", width: 20, format: "jpeg" },
  { instruction: "imageView2/2/w/40/format/png", width: 40, format: "png" },
  { instruction: "imageMogr2/thumbnail/!10p|imageMogr2/rotate/90", width: 20, format: "jpeg" },
])("GET /objects/image renders $instruction", async ({ instruction, width, format }) => {
  await upload("key=i.jpg&replace=true");
  const answer = await api(`/objects/image?key=i.jpg&instruction=${encodeURIComponent(instruction)}`);
  expect(answer.status).toBe(200);
  expect(await sharp(Buffer.from(await answer.arrayBuffer())).metadata()).toMatchObject({ width, format });
});

test.each([
  { why: "what is no instruction", query: "key=i.jpg&instruction=nonsense", status: 400 },
  { why: "an instruction with a fault", query: "key=i.jpg&instruction=imageView2/9", status: 400 },
  { why: "a missing image", query: "key=nowhere.jpg", status: 404 },
  { why: "a key that is none", query: "key=..", status: 400 },
])("GET /objects/image refuses $why with $status as JSON", async ({ query, status }) => {
  await upload("key=i.jpg&replace=true");
  asked = [];
  const answer = await api(`/objects/image?${query}`);
  expect([answer.status, await answer.json()]).toEqual([
    status,
    expect.objectContaining({ requestId: expect.any(String) }),
  ]);
  expect(asked).toEqual([]);
});

test("GET /objects/image asks the origin only with fetch, without the headers of the page, and stores the image", async () => {
  asked = [];
  const headers = { "x-csrf-token": "secret" };
  const shown = (query: string) => api(`/objects/image?key=t/new.jpg${query}`, { headers });
  expect((await shown("")).status).toBe(404);
  expect(asked).toEqual([]);
  const fetched = await shown("&fetch=true&instruction=small");
  expect([fetched.status, fetched.headers.get("content-type")]).toEqual([200, "image/jpeg"]);
  expect(asked).toEqual(["/t/new.jpg -"]);
  expect((await shown("")).status).toBe(200);
  expect(asked).toHaveLength(1);
  expect((await api("/objects/image?key=t/failing.jpg&fetch=true")).status).toBe(424);
  // Its rule passes all headers of clients on.
  expect((await api("/objects/image?key=own/a.jpg&fetch=true", { headers })).status).toBe(200);
  expect(asked.map((line) => line.split(" ")[1])).toEqual(asked.map(() => "-"));
});

test("GET /objects/image runs no script of an SVG", async () => {
  const answer = await api("/objects/image?key=t/x.svg&fetch=true");
  expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "image/svg+xml"]);
  const policy = answer.headers.get("content-security-policy");
  expect(policy).toBe("default-src 'none'; style-src 'unsafe-inline'; sandbox");
});

test("GET /objects/variants names aliases, and tells size and format of the others, page by page", async () => {
  await upload("key=v.jpg", await noisyJpeg(120, 80));
  const variants = (query = "") => api(`/objects/variants?key=v.jpg${query}`);
  expect(await (await variants()).json()).toMatchObject({ variants: [] });
  for (const [instruction, accept] of [
    ["small", "*/*"],
    ["modern", "image/webp"],
    ["imageView2/2/w/33", "*/*"],
  ] as const)
    await api(`/objects/image?key=v.jpg&instruction=${encodeURIComponent(instruction)}`, { headers: { accept } });
  interface Page {
    readonly variants: readonly { readonly alias?: string; readonly width: number }[];
    readonly next?: string;
  }
  const page = async (query = "") => (await (await variants(query)).json()) as Page;
  await eventually(async () => (await page()).variants.length === 3, "the variants are stored");
  const all = (await page()).variants;
  const found = all.map(({ alias, width }) => `${alias ?? "-"} ${width}`);
  expect(found.sort()).toEqual(["- 33", "modern 30", "small 20"]);
  expect(all.find(({ alias }) => alias === "modern")).toMatchObject({ format: "webp", recipe: expect.any(String) });
  const first = await page("&limit=2");
  const second = await page(`&limit=2&after=${first.next}`);
  expect([...first.variants, ...second.variants]).toEqual(all);
  expect(second.next).toBeUndefined();
  expect((await variants("&after=..%2f")).status).toBe(400);
  expect((await api("/objects/variants?key=nowhere.jpg")).status).toBe(404);
});

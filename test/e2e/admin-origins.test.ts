// Origins, callbacks and tokens through the admin port: what origins did lately, a test of one that is to be
// configured, a test of the callback, and signed URLs.
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { hostname } from "node:os";
import { afterAll, beforeAll, expect, test } from "vitest";
import { verifyCallback } from "../../src/serve/sign/callback.ts";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { loadedHuiyuan } from "../helpers/loaded-program.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { callApi, fileForm, onceToken } from "../helpers/rest-api.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { freePort } from "../helpers/services.ts";
import { APPID, KEYS, mirrorOf } from "../helpers/settings.ts";

const SECRET = "the secret of the callback";
const HOST = "img.example.com";
let jpeg: Buffer;
let origin: ScriptedOrigin;
let receiver: Server;
let received: { readonly headers: IncomingMessage["headers"]; readonly body: string }[] = [];
let answer = { status: 200, body: '{"noted":true}' };
let installation: Installation;
let program: Program;

beforeAll(async () => {
  jpeg = await noisyJpeg(60, 40);
  origin = await startScriptedOrigin(async ({ target }, connection) => {
    if (target.includes("hung")) return connection.hang();
    if (target.includes("huiyuan-doctor")) return connection.send(response("", { status: "404 Not Found" }));
    await connection.send(target.includes("fails") ? response("", { status: "503 Busy" }) : response(jpeg));
  });
  receiver = createServer(async (request, reply) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    received.push({ headers: request.headers, body: Buffer.concat(parts).toString("latin1") });
    reply.writeHead(answer.status).end(answer.body);
  }).listen(0, "127.0.0.1");
  await once(receiver, "listening");
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/told?tenant=hidden`;
  const callback = (allowPrivate: boolean) => ({ url, secret: SECRET, allowPrivate });
  const buckets = [
    {
      name: "photos",
      token: "required",
      oneTimeDownloads: "once",
      domains: [
        { host: HOST, mirror: mirrorOf(`${origin.url}`, { breaker: { failures: 3, open: "1m" } }) },
        { host: "refused.example.com", mirror: mirrorOf(`http://127.0.0.1:${await freePort()}`) },
        { host: "unused.example.com", mirror: mirrorOf(`${origin.url}/unused`) },
      ],
      callback: callback(true),
    },
    { name: "inside", callback: { ...callback(false), url: url.replace("127.0.0.1", hostname()) } },
    { name: "silent" },
  ];
  const projects = [{ appid: APPID, keys: [KEYS[0]], buckets }];
  installation = await install({ server: { adminToken: "s3cret" }, projects });
  program = await installation.start();
});
afterAll(async () => {
  await program?.kill();
  await installation?.remove();
  await origin?.close();
  receiver?.close();
});

async function ask(path: string, body?: object) {
  const reply = await fetch(`http://127.0.0.1:${program.adminPort}/api/v1${path}`, {
    method: body === undefined ? "GET" : "POST",
    headers: { authorization: "Bearer s3cret", "content-type": "application/json" },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { status: reply.status, text: await reply.text() };
}
const json = async (path: string, body?: object) => JSON.parse((await ask(path, body)).text);
const download = (url: string, host = HOST) => {
  const { pathname, search } = new URL(url);
  return get({ port: program.downloadPort, path: pathname + search, host });
};

test("POST /sign makes a download URL that works, once if it is told to", async () => {
  const many = await json("/sign", { bucket: "photos", key: "图/a.jpg", expiresIn: 60 });
  expect(many).toMatchObject({ kind: "multi-use", url: expect.stringContaining(`http://${HOST}:`) });
  expect((await download(many.url)).status).toBe(200);
  const values = Object.fromEntries(many.parts.map(({ letter, value }: Record<string, string>) => [letter, value]));
  expect(values).toMatchObject({ a: APPID, b: "photos", k: KEYS[0].secretId, u: "0", f: "图/a.jpg" });
  expect(Date.parse(many.expiresAt) / 1_000).toBe(Number(values.e));
  const one = await json("/sign", { bucket: `${APPID}/photos`, key: "b.jpg", once: true });
  expect([one.kind, (await download(one.url)).status, (await download(one.url)).status]).toEqual([
    "one-time",
    200,
    403,
  ]);
});

test("POST /sign signs a URL with its instruction, and adds one", async () => {
  const own = await json("/sign", { url: `http://${HOST}/a.jpg?imageView2/2/w/20&sign=old` });
  expect(own.url).toMatch(/^http:\/\/img\.example\.com\/a\.jpg\?imageView2\/2\/w\/20&sign=/);
  const instruction = "imageMogr2/thumbnail/!50p|imageMogr2/rotate/90";
  const { url } = await json("/sign", { bucket: "photos", key: "a.jpg", instruction });
  await eventually(async () => (await download(url)).status === 200, "the variant is served");
});

test("POST /sign makes tokens that the REST API accepts", async () => {
  const upload = await json("/sign", { operation: "upload", bucket: "silent", key: "up.jpg" });
  const rest = { port: program.downloadPort, host: "api.example.net" };
  const target = `/photos/v2/${APPID}/silent/0/up.jpg`;
  expect(await callApi({ ...rest, target, form: fileForm(jpeg), sign: upload.token })).toMatchObject({ code: 0 });
  const { token, kind } = await json("/sign", { operation: "delete", bucket: "silent", key: "up.jpg" });
  expect(kind).toBe("one-time");
  expect(await callApi({ ...rest, target: `${target}/del`, method: "POST", sign: token })).toMatchObject({ code: 0 });
  expect(onceToken("up.jpg")).not.toBe(token);
});

test.each([
  { why: "no key", body: { bucket: "photos" } },
  { why: "several buckets", body: { key: "a.jpg" } },
  { why: "an unknown bucket", body: { bucket: "none", key: "a.jpg" } },
  { why: "a URL and a key", body: { url: `http://${HOST}/a.jpg`, key: "a.jpg" } },
  { why: "a URL for an upload", body: { operation: "upload", url: `http://${HOST}/a.jpg` } },
  { why: "one use of any file", body: { bucket: "photos", key: "a.jpg", once: true, unbound: true } },
  { why: "an unknown key pair", body: { bucket: "photos", key: "a.jpg", secretId: "AKIDNONE" } },
  { why: "a life of 93 days", body: { bucket: "photos", key: "a.jpg", expiresIn: 93 * 86_400 } },
  { why: "an invalid escape", body: { url: `http://${HOST}/%zz` } },
])("POST /sign refuses $why, without a secret in the answer", async ({ body }) => {
  const { status, text } = await ask("/sign", body);
  expect([status, text]).toEqual([400, expect.not.stringContaining(KEYS[0].secretKey)]);
});

test("POST /callbacks/test sends a notice that verifies and says that it is a test", async () => {
  received = [];
  answer = { status: 201, body: `{"padding":"${"x".repeat(2_000)}"}` };
  const tested = await json("/callbacks/test", { bucket: "photos" });
  expect(tested).toMatchObject({ bucket: `${APPID}/photos`, delivered: true, status: 201 });
  expect([tested.answer.length, tested.milliseconds]).toEqual([1_000, expect.any(Number)]);
  const [notice] = received;
  expect(notice?.headers["x-huiyuan-test"]).toBe("callback");
  const verdict = verifyCallback(notice?.body ?? "", { secret: SECRET, now: Math.floor(Date.now() / 1_000) });
  expect(verdict).toMatchObject({
    ok: true,
    notice: { fileid: "huiyuan-callback-test", magicContext: '{"test":true}' },
  });
  const fields = [...new URLSearchParams(notice?.body).keys()];
  const known = ["appid", "bucket", "fileid", "magic_context", "sha", "size", "timestamp", "url", "userid", "token"];
  expect(fields).toEqual(known);
  expect(await json("/callbacks")).toMatchObject({ notices: [] });
});

test.each([
  { why: "an error of the server", bucket: "photos", status: 500, body: "a stack", reason: "status", shown: "a stack" },
  { why: "a body that is no JSON", bucket: "photos", status: 200, body: "<p>", reason: "bad_answer", shown: "<p>" },
  { why: "a private address", bucket: "inside", status: 200, body: "{}", reason: "blocked", shown: "" },
])("POST /callbacks/test tells $why", async ({ bucket, status, body, reason, shown }) => {
  received = [];
  answer = { status, body };
  const expected = { delivered: false, reason, answer: shown, ...(reason !== "blocked" && { status }) };
  expect(await json("/callbacks/test", { bucket })).toMatchObject(expected);
  expect(received).toHaveLength(reason === "blocked" ? 0 : 1);
  expect(program.output).not.toContain("tenant=hidden");
});

test("POST /callbacks/test refuses a bucket without a callback", async () => {
  expect((await ask("/callbacks/test", { bucket: "silent" })).status).toBe(400);
});

test("huiyuan callbacks test prints the answer, and fails as the callback does", async () => {
  const args = ["callbacks", "test", "--bucket", "photos", "--admin", `http://127.0.0.1:${program.adminPort}`];
  const env = { HUIYUAN_ADMIN_TOKEN: "s3cret" };
  answer = { status: 200, body: '{"noted":true}' };
  expect(await loadedHuiyuan(args, { env })).toMatchObject({
    err: "",
    code: 0,
    out: expect.stringMatching(/^delivered, 200 in \d+ ms: {"noted":true}\n$/),
  });
  answer = { status: 502, body: "bad" };
  expect(await loadedHuiyuan(args, { env })).toMatchObject({
    code: 1,
    out: expect.stringContaining("failed (status), 502"),
  });
});

const linesOf = (text: string) =>
  text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));

test("POST /doctor tells findings as lines, and at the end the counts and the settings", async () => {
  const body = { url: `${origin.url}/`, samples: ["a.jpg"], headers: { "X-Key": "hidden-key" }, allowPrivate: true };
  const lines = linesOf((await ask("/doctor", body)).text);
  expect(lines.find(({ id }) => id === "image")).toMatchObject({
    severity: "good",
    found: expect.stringContaining("60 × 40"),
  });
  const { end } = lines.at(-1);
  expect(end).toMatchObject({ problem: 0, settings: expect.stringContaining(`url: "${origin.url}"`) });
  expect(lines.filter(({ severity }) => severity === "good")).toHaveLength(end.good);
  await eventually(() => program.output.includes('"operation":"doctor"'), "the audit line is written");
  expect(program.output).not.toContain("hidden-key");
});

test("POST /doctor tests an entry of origins with its keys, which are not logged", async () => {
  const entry = { type: "qiniu", domain: origin.url, private: true, accessKey: "AK", secretKey: "hidden-key" };
  const body = { origin: entry, samples: ["a.jpg"], allowPrivate: true };
  const lines = linesOf((await ask("/doctor", body)).text);
  expect(lines.find(({ id }) => id === "image")).toMatchObject({ severity: "good" });
  expect(linesOf((await ask("/doctor", { origin: { ...entry, allowPrivate: true } })).text)).toMatchObject([
    { id: "connection", code: "origin_blocked" },
    { end: { problem: 1 } },
  ]);
  expect(program.output).not.toContain("hidden-key");
});

test("POST /doctor dials no private address unless it is told to", async () => {
  const lines = linesOf((await ask("/doctor", { url: origin.url })).text);
  expect(lines).toEqual([
    expect.objectContaining({
      id: "connection",
      severity: "problem",
      found: expect.stringContaining("origin_blocked"),
    }),
    { end: { good: 0, note: 0, warning: 0, problem: 1 } },
  ]);
  expect(lines).toHaveLength(2);
});

test("POST /doctor ends in time, and runs twice at once", async () => {
  const body = { url: origin.url, samples: ["hung.jpg"], allowPrivate: true };
  const leaving = new AbortController();
  const begin = async (seconds: number) =>
    fetch(`http://127.0.0.1:${program.adminPort}/api/v1/doctor`, {
      method: "POST",
      headers: { authorization: "Bearer s3cret", "content-type": "application/json" },
      body: JSON.stringify({ ...body, seconds }),
      signal: leaving.signal,
    });
  const [short] = await Promise.all([begin(1), begin(60)]);
  expect(await ask("/doctor", body)).toMatchObject({ status: 503 });
  const lines = linesOf((await short?.text()) ?? "");
  expect(lines.find(({ id }) => id === "time")).toMatchObject({ severity: "warning" });
  // The place of a caller that leaves is free again.
  leaving.abort();
  await eventually(async () => (await ask("/doctor", { url: origin.url })).status === 200, "a place is free");
});

test.each([
  { why: "no URL", body: {} },
  { why: "another scheme", body: { url: "ftp://h/" } },
  { why: "credentials in the URL", body: { url: "http://user:hidden-key@h/" } },
  { why: "a URL and an entry", body: { url: "http://h/", origin: { type: "site", url: "http://h" } } },
  { why: "an entry with faults", body: { origin: { type: "site", url: "nothing" } } },
  {
    why: "a variable of the environment",
    body: { origin: { type: "s3", preset: "oss", bucket: "bb", accessKeyId: "a", secretAccessKey: "env:HOME" } },
  },
  {
    why: "a file of the machine",
    body: { origin: { type: "s3", preset: "oss", bucket: "bb", accessKeyId: "a", secretAccessKey: "file:/etc/hosts" } },
  },
  { why: "a metadata address", body: { url: "http://169.254.169.254", allowPrivate: true } },
  { why: "a sample elsewhere", body: { url: "http://h/", samples: ["http://other/a.jpg"] } },
  { why: "21 samples", body: { url: "http://h/", samples: Array.from({ length: 21 }, () => "a.jpg") } },
])("POST /doctor refuses $why", async ({ body }) => {
  expect((await ask("/doctor", body)).status).toBe(400);
  expect(program.output).not.toContain("hidden-key");
});

test("GET /origins tells which origins were never contacted, and counts refused connections", async () => {
  const { url } = await json("/sign", { bucket: "photos", key: "2015/away.jpg" });
  for (let turn = 0; turn < 2; turn += 1) await download(url, "refused.example.com");
  const [answers, refused, unused] = (await json("/origins")).origins;
  expect(answers).toMatchObject({ condition: "answers", failed: 0, requests: expect.any(Number) });
  expect(refused).toMatchObject({ condition: "fails", state: "closed" });
  expect([refused.requests > 0, refused.failed, refused.latency]).toEqual([true, refused.requests, undefined]);
  expect(refused.failures[0]).toMatchObject({ key: "2015/away.jpg", code: "origin_refused" });
  expect(unused).toMatchObject({ condition: "unused", requests: 0, failed: 0, failures: [] });
});

test("GET /origins tells latency, budget, failures and since when the breaker is open", async () => {
  const before = await json("/origins");
  expect(before.origins[0]).toMatchObject({ name: origin.url, state: "closed", connections: 64, requestsPerSecond: 0 });
  expect([before.origins[0].requests > 0, before.origins[0].latency.p50 > 0]).toEqual([true, true]);
  for (const key of ["fails1.jpg", "fails2.jpg", "fails3.jpg"])
    await download((await json("/sign", { bucket: "photos", key, instruction: "secret=1" })).url);
  const { origins } = await json("/origins");
  const [{ state, condition, since, failures }] = origins;
  const failure = { time: expect.any(String), key: "fails3.jpg", code: "origin_status", status: 503 };
  expect([state, condition, failures[0]]).toEqual(["open", "paused", { ...failure, text: expect.any(String) }]);
  expect(Math.abs(Date.now() - Date.parse(since))).toBeLessThan(30_000);
  expect(Date.parse(since)).toBeGreaterThan(Date.parse(before.origins[0].since));
  expect(JSON.stringify(origins)).not.toMatch(/secret/);
});

// The admin API under hostile and clumsy callers: access control, refusals before anything changes, and the operation
// log.
import { request } from "node:http";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type GetResult, get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { sendRaw } from "../helpers/raw.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { mirrorOf, oneBucket } from "../helpers/settings.ts";

const HOST = "127.0.0.1";
const AUTHORIZED = { authorization: "Bearer s3cret" };
let origin: ScriptedOrigin;
let installation: Installation;
let program: Program;

beforeAll(async () => {
  const jpeg = await noisyJpeg(20, 20);
  origin = await startScriptedOrigin(async ({ target }, connection) => {
    if (target.includes("slow")) await connection.hang();
    else await connection.send(response(jpeg));
  });
  const server = { adminToken: "s3cret" };
  installation = await install(oneBucket(mirrorOf(origin.url), {}, { server }));
  program = await installation.start();
});
afterAll(async () => {
  await program.kill();
  await installation.remove();
  await origin.close();
});

function post(path: string, body: string | Buffer, headers: Readonly<Record<string, string>> = {}): Promise<GetResult> {
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host: HOST,
        port: program.adminPort,
        path: `/api/v1${path}`,
        method: "POST",
        agent: false,
        headers: { host: HOST, "content-type": "application/json", ...AUTHORIZED, ...headers },
      },
      (answer) => {
        const parts: Buffer[] = [];
        answer.on("data", (part: Buffer) => parts.push(part));
        answer.on("close", () =>
          resolve({
            status: answer.statusCode ?? 0,
            headers: answer.headers,
            body: Buffer.concat(parts),
            isWhole: answer.complete,
          }),
        );
      },
    );
    sent.on("error", reject);
    sent.end(body);
  });
}

const ask = (path: string, headers: Readonly<Record<string, string>> = {}, host = HOST) =>
  get({ port: program.adminPort, path, host, headers });
const linesOf = ({ body }: GetResult) =>
  body
    .toString()
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));

test.each([
  { why: "no token", headers: {}, status: 401 },
  { why: "a wrong token", headers: { authorization: "Bearer s3cre" }, status: 401 },
  { why: "another scheme", headers: { authorization: "Basic s3cret" }, status: 401 },
  { why: "another Host", headers: AUTHORIZED, host: "rebound.example", status: 421 },
  { why: "a page of another site", headers: { ...AUTHORIZED, origin: "http://evil.example" }, status: 403 },
  {
    why: "a page of another port of this machine",
    headers: { ...AUTHORIZED, origin: `http://${HOST}:3000` },
    status: 403,
  },
])("$why is refused with $status", async ({ headers, host, status }) => {
  const answer = await ask("/api/v1/objects", headers, host);
  expect(answer.status).toBe(status);
  const said = JSON.parse(answer.body.toString());
  expect(said).toEqual({
    code: expect.any(Number),
    message: expect.any(String),
    requestId: answer.headers["x-request-id"],
  });
});

test("no call of the API is open without the token", async () => {
  const calls = ["/objects/delete", "/objects/undelete", "/objects/purge", "/warm"];
  const answers = calls.map((path) => post(path, JSON.stringify({ names: ["a.jpg"] }), { authorization: "" }));
  expect((await Promise.all(answers)).map(({ status }) => status)).toEqual(calls.map(() => 401));
});

test.each([
  ["no Host, as HTTP/1.0 allows", "GET /healthz HTTP/1.0\r\n\r\n", 421],
  ["an invalid Host", "GET /healthz HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n", 400],
  ["a target that is no URL", "OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", 400],
])("%s is refused with a code and a request id", async (_what, bytes, status) => {
  const answer = await sendRaw(program.adminPort, bytes);
  expect(answer.status).toBe(status);
  const said = JSON.parse(answer.body);
  expect(said).toEqual({ code: expect.any(Number), message: expect.any(String), requestId: expect.any(String) });
  expect(answer.head.toLowerCase()).toContain(`x-request-id: ${said.requestId}`);
});

test("a caller that disconnects in the middle of its request causes no error in the log", async () => {
  const head = `POST /api/v1/objects/purge HTTP/1.1\r\nHost: ${HOST}\r\nAuthorization: Bearer s3cret\r\nContent-Type: application/json\r\n`;
  await sendRaw(program.adminPort, `${head}Content-Length: 200\r\n\r\n{"na`, 200, 200);
  await sendRaw(program.adminPort, `${head}Transfer-Encoding: chunked\r\n\r\nZZ\r\n`, 200, 200);
  expect((await ask("/healthz")).status).toBe(200);
  expect(program.output).not.toContain("an admin request failed");
});

const NAMES = '"names":["a.jpg"]';
test.each([
  { body: "", status: 400 },
  { body: "{", status: 400 },
  { body: "[]", status: 400 },
  { body: "null", status: 400 },
  { body: "{}", status: 400 },
  { body: `{${NAMES},"prefix":""}`, status: 400 },
  { body: '{"names":[]}', status: 400 },
  { body: '{"names":"a.jpg"}', status: 400 },
  { body: '{"names":[1]}', status: 400 },
  { body: '{"names":[null]}', status: 400 },
  { body: '{"prefix":{}}', status: 400 },
  { body: `{${NAMES},"reason":7}`, status: 400 },
  { body: `{${NAMES},"forMs":0}`, status: 400 },
  { body: `{${NAMES},"forMs":1e99}`, status: 400 },
  { body: `{${NAMES},"forMs":1.5}`, status: 400 },
  { body: `{${NAMES},"bucket":"other"}`, status: 400 },
  { body: `{${NAMES},"force":true}`, status: 400 },
  { body: `{${NAMES},"__proto__":{"bucket":"x"}}`, status: 400 },
  { body: JSON.stringify({ names: Array.from({ length: 1_001 }, (_, index) => `${index}`) }), status: 400 },
  { body: JSON.stringify({ names: ["a".repeat(9_000)] }), status: 400 },
  { body: "x".repeat(1_100_000), status: 413 },
  { body: Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]), status: 400 },
])("an invalid body is refused with $status before anything changes", async ({ body, status }) => {
  const answer = await post("/objects/delete", body);
  expect(answer.status).toBe(status);
  expect(JSON.parse(answer.body.toString())).toMatchObject({ code: -103, requestId: expect.any(String) });
});

test("the API accepts only JSON, which pages of other sites cannot send without a preflight", async () => {
  const answer = await post("/objects/delete", `{${NAMES}}`, { "content-type": "text/plain" });
  expect(answer.status).toBe(415);
});

test.each([
  ["../../etc/passwd", "url_invalid"],
  ["a/../b.jpg", "url_invalid"],
  ["a\0b", "url_invalid"],
  ["", "url_invalid"],
  ["http://any.example/../x.jpg", "url_invalid"],
  ["http://any.example/%2e%2e/x.jpg", "url_invalid"],
  ["http://any.example/%ff.jpg", "url_invalid"],
  ["http:///x.jpg", "url_invalid"],
  ["http://a b/x.jpg", "host_invalid"],
])("the invalid name %j changes nothing, and the other names of the request are still changed", async (name, code) => {
  const answer = await post("/objects/delete", JSON.stringify({ names: [name, "good.jpg"] }));
  const lines = linesOf(answer);
  expect(lines).toContainEqual({ name, code, message: expect.any(String) });
  expect(lines).toContainEqual({ bucket: "10001234/photos", key: "good.jpg", changed: false });
  expect(lines.at(-1)).toEqual({ end: { changed: 0, unchanged: 1, failed: 1 } });
});

test.each([
  "/objects?limit=0",
  "/objects?limit=1001",
  "/objects?limit=-1",
  "/objects?limit=x",
  "/objects?after=../x",
  "/objects?prefix=a&prefix=b",
  "/objects?order=size",
  "/objects/stat",
  "/objects/stat?name=..%2Fx",
])("GET %s is refused with 400", async (path) => {
  expect((await ask(`/api/v1${path}`, AUTHORIZED)).status).toBe(400);
});

test.each([
  ["a page", () => ask("/api/v1/objects", AUTHORIZED), 200],
  ["a query that is refused", () => ask("/api/v1/objects?limit=0", AUTHORIZED), 400],
  ["a body that is refused", () => post("/objects/purge", "{}"), 400],
  ["a body of another type", () => post("/objects/purge", "{}", { "content-type": "text/plain" }), 415],
  ["a stream of lines", () => post("/objects/purge", JSON.stringify({ names: ["a.jpg"] })), 200],
  ["the operation log as CSV", () => ask("/api/v1/log.csv", AUTHORIZED), 200],
  ["an unknown call", () => ask("/api/v1/nothing", AUTHORIZED), 404],
])("%s has a request id and forbids caching", async (_what, call, status) => {
  const answer = await call();
  expect([answer.status, answer.headers["cache-control"], answer.headers["x-content-type-options"]]).toEqual([
    status,
    "no-store",
    "nosniff",
  ]);
  expect(answer.headers["x-request-id"]).toMatch(/./);
  if (status >= 400) expect(linesOf(answer)).toMatchObject([{ requestId: answer.headers["x-request-id"] }]);
});

test("an unknown path gets 404, and an unsupported method gets 405", async () => {
  expect((await ask("/api/v1/nothing", AUTHORIZED)).status).toBe(404);
  expect((await post("/nothing", "{}")).status).toBe(405);
});

test("each change writes one log line, without tokens", async () => {
  const url = "http://any.example/noted.jpg?sign=SECRETTOKEN";
  await post("/objects/purge", JSON.stringify({ names: [url], hard: true }));
  const lines = () => program.output.split("\n").filter((each) => each.includes("noted.jpg"));
  await eventually(() => lines().length > 0, "the request is logged");
  // A second line would be logged before the line of a later request.
  await post("/objects/purge", JSON.stringify({ names: ["behind.jpg"], hard: true }));
  await eventually(() => program.output.includes("behind.jpg"), "the later request is logged");
  const line = lines();
  expect(line).toHaveLength(1);
  expect(JSON.parse(line[0] ?? "")).toMatchObject({
    audit: { operation: "purge", hard: true, names: 1, first: "http://any.example/noted.jpg" },
    outcome: "done",
    failed: 0,
    client: HOST,
  });
  expect(program.output).not.toContain("SECRETTOKEN");
});

test("the log never contains a password from the URL of a request", async () => {
  await post("/objects/purge", JSON.stringify({ names: ["http://user:SECRET/WORD@any.example/named.jpg"] }));
  const lines = () => program.output.split("\n").filter((each) => each.includes("named.jpg"));
  await eventually(() => lines().length > 0, "the request is logged");
  expect(lines().map((line) => JSON.parse(line))).toMatchObject([
    { audit: { operation: "purge", names: 1, first: "http://…@any.example/named.jpg" }, outcome: "done", failed: 1 },
  ]);
  expect(program.output).not.toContain("SECRET/WORD");
});

test("origins and buckets are listed without credentials", async () => {
  const origins = await ask("/api/v1/origins", AUTHORIZED);
  expect(JSON.parse(origins.body.toString())).toMatchObject({
    origins: [{ name: origin.url, state: "closed", running: expect.any(Number), waiting: 0, pausedMs: 0 }],
  });
  const buckets = await ask("/api/v1/buckets", AUTHORIZED);
  const domains = [
    { domain: "photos-10001234.localhost", isMirrored: true },
    { domain: "*", isMirrored: true },
  ];
  expect(JSON.parse(buckets.body.toString())).toEqual({
    buckets: [{ bucket: "10001234/photos", takesUploads: true, domains }],
  });
});

test("warming ends when its caller leaves", async () => {
  const names = Array.from({ length: 50 }, (_, index) => `slow/${index}.jpg`);
  const before = origin.requests.length;
  const sent = request({
    host: HOST,
    port: program.adminPort,
    path: "/api/v1/warm",
    method: "POST",
    agent: false,
    headers: { host: HOST, "content-type": "application/json", ...AUTHORIZED },
  });
  sent.on("error", () => undefined);
  sent.end(JSON.stringify({ names, concurrency: 2 }));
  await origin.received(before + 2);
  sent.destroy();
  await eventually(() => program.output.includes('"operation":"warm"'), "the request is logged");
  expect(program.output).toMatch(/"operation":"warm".*"outcome":"left"/);
  expect(origin.requests.length).toBe(before + 2);
});

test.each([
  ["/log?from=yesterday"],
  ["/log?from=2015-13-41"],
  ["/log?latest=0"],
  ["/log?limit=1001"],
  ["/log?operation=destroy"],
  ["/log?bucket=nobody"],
  ["/log?sort=up"],
  ["/log.csv?limit=5"],
  ["/usage?from=2015-07-17T08:00:00Z"],
  ["/usage?from=2015-01-01&to=2026-01-01"],
  ["/callbacks?state=lost"],
  ["/callbacks?limit=1001"],
  ["/callbacks?after=-1"],
  ["/callbacks?bucket=nobody"],
])("GET %s is refused", async (path) => {
  const answer = await ask(`/api/v1${path}`, AUTHORIZED);
  expect(answer.status).toBe(400);
  expect(JSON.parse(answer.body.toString())).toMatchObject({ code: -103, requestId: expect.any(String) });
});

test.each([
  ["/callbacks/drop", {}],
  ["/callbacks/drop", { all: true, ids: [1] }],
  ["/callbacks/drop", { all: "yes" }],
  ["/callbacks/retry", { ids: [] }],
  ["/callbacks/retry", { ids: ["1"] }],
  ["/callbacks/retry", { ids: [1.5] }],
  ["/callbacks/retry", { ids: Array(1_001).fill(1) }],
  ["/callbacks/retry", { id: 1 }],
])("POST %s %j is refused", async (path, body) => {
  const answer = await post(path, JSON.stringify(body));
  expect(answer.status).toBe(400);
  expect(JSON.parse(answer.body.toString())).toMatchObject({ code: -103, requestId: expect.any(String) });
});

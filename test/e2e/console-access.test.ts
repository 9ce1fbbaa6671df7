// Browsers at the admin port: login, cookie, CSRF token, wrong tokens, a changed token, the headers of pages, live
// figures and the overview of the running program.
import { createHash } from "node:crypto";
import { request } from "node:http";
import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { mirrorOf, oneBucket } from "../helpers/settings.ts";

const TOKEN = "the-right-admin-token";
let origin: ScriptedOrigin;
let installation: Installation;
let program: Program;
/** Sent first, because the answers come after 10 s. */
let slow: readonly Promise<string>[];

const settingsWith = (server: object) => oneBucket(mirrorOf(origin.url), {}, { server });
beforeAll(async () => {
  const jpeg = await noisyJpeg(20, 20);
  origin = await startScriptedOrigin(async ({ target }, connection) => {
    await connection.send(target.includes("missing") ? response("", { status: "404 Not Found" }) : response(jpeg));
  });
  installation = await install(settingsWith({ adminToken: "env:TOKEN", trustedProxies: ["127.0.0.1"] }));
  program = await installation.start({ env: { TOKEN } });
  slow = [trickle("Content-Length: 4000", " "), trickle("Transfer-Encoding: chunked", "1\r\n \r\n")];
});
afterAll(async () => {
  await program?.kill();
  await installation?.remove();
  await origin?.close();
});

type Headers = Readonly<Record<string, string>>;
async function ask(path: string, { headers = {}, body }: { headers?: Headers; body?: object } = {}) {
  const answer = await fetch(`http://127.0.0.1:${program.adminPort}${path}`, {
    headers: { ...(body && { "content-type": "application/json" }), ...headers },
    ...(body && { method: "POST", body: JSON.stringify(body) }),
  });
  return { status: answer.status, headers: answer.headers, text: await answer.text() };
}
const api = (path: string, options: Parameters<typeof ask>[1] = {}) => ask(`/api/v1${path}`, options);
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

async function logIn(headers: Headers = {}) {
  const answer = await api("/session", { headers, body: { token: TOKEN } });
  expect(answer.status).toBe(200);
  const cookie = answer.headers.get("set-cookie") ?? "";
  const { csrfToken } = JSON.parse(answer.text) as { csrfToken: string };
  return { cookie, csrfToken, headers: { cookie: cookie.split(";", 1)[0] ?? "" } };
}
/** A login whose body never ends. Resolves with the answer. */
function trickle(framing: string, piece: string): Promise<string> {
  const socket = connect(program.adminPort, "127.0.0.1");
  let text = "";
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  socket.write(
    `POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${framing}\r\n\r\n`,
  );
  const timer = setInterval(() => socket.write(piece), 100);
  return new Promise((resolve) => {
    socket.on("error", () => undefined); // `close` follows
    socket.on("close", () => {
      clearInterval(timer);
      resolve(text);
    });
    socket.on("end", () => socket.destroy());
  });
}
/** A call that sends all but the last byte of its body. `finish` sends it, and resolves with the status. */
function begin({ method, path, headers, body }: { method: string; path: string; headers: Headers; body: Buffer }) {
  const call = request({
    ...{ host: "127.0.0.1", port: program.adminPort, method, path: `/api/v1${path}` },
    headers: {
      ...headers,
      "content-type": "application/json",
      "content-length": body.byteLength,
      expect: "100-continue",
    },
  });
  const answered = new Promise<number | undefined>((resolve, reject) => {
    call.on("error", reject).on("response", (answer) => resolve(answer.resume().statusCode));
  });
  const begun = new Promise<void>((resolve) => {
    call.once("continue", resolve);
  });
  call.flushHeaders();
  return {
    begun: begun.then(() => call.write(body.subarray(0, -1))),
    finish() {
      call.end(body.subarray(-1));
      return answered;
    },
  };
}
interface Entry {
  readonly code: number;
  readonly url: string;
  readonly client: string;
  readonly message: string;
}
const PURGE = { names: ["none.jpg"] };

test("a browser logs in, makes calls with its cookie and CSRF token, and logs out", async () => {
  expect(JSON.parse((await api("/session")).text)).toEqual({ isOpen: false });
  const { cookie, csrfToken, headers } = await logIn();
  expect(cookie).toMatch(/^huiyuan_session=[\w-]{43}; /);
  for (const attribute of ["HttpOnly", "SameSite=Strict", "Path=/"]) expect(cookie).toContain(attribute);
  expect(cookie).not.toContain("Secure");
  expect(csrfToken).toMatch(/^[\w-]{43}$/);
  expect(JSON.parse((await api("/session", { headers })).text)).toEqual({ isOpen: true, csrfToken });
  for (const path of ["/api/v1/buckets", "/metrics"]) expect((await ask(path, { headers })).status).toBe(200);
  const withToken = { ...headers, "x-csrf-token": csrfToken };
  expect((await api("/objects/purge", { headers: withToken, body: PURGE })).status).toBe(200);
  expect(JSON.parse((await api("/session/end", { headers: withToken, body: {} })).text)).toEqual({ isOpen: false });
  expect((await api("/buckets", { headers })).status).toBe(401);
});

test("a change with the cookie needs the CSRF token of this session, and one with the token does not", async () => {
  const { headers } = await logIn();
  const other = await logIn();
  for (const csrf of [{}, { "x-csrf-token": "" }, { "x-csrf-token": other.csrfToken }]) {
    const answer = await api("/objects/purge", { headers: { ...headers, ...csrf }, body: PURGE });
    expect([answer.status, JSON.parse(answer.text)]).toMatchObject([
      403,
      { code: -103, requestId: expect.any(String) },
    ]);
  }
  const put = { method: "PUT", headers, body: "x" };
  const content = `http://127.0.0.1:${program.adminPort}/api/v1/objects/content?key=a.jpg`;
  expect((await fetch(content, put)).status).toBe(403);
  expect((await api("/objects/purge", { headers: bearer(TOKEN), body: PURGE })).status).toBe(200);
});

test("the cookie is for TLS only if the browser or a trusted proxy has TLS", async () => {
  const secure = /^__Host-huiyuan_session=.*; Secure/;
  const { cookie, headers } = await logIn({ "x-forwarded-proto": "https" });
  expect(cookie).toMatch(secure);
  expect((await api("/buckets", { headers })).status).toBe(200);
  const host = `127.0.0.1:${program.adminPort}`;
  expect((await logIn({ origin: `https://${host}` })).cookie).toMatch(secure);
  expect((await logIn({ origin: `http://${host}` })).cookie).not.toMatch(secure);
  const foreign = await api("/session", { headers: { origin: "https://evil.example" }, body: { token: TOKEN } });
  expect([foreign.status, foreign.headers.get("set-cookie")]).toEqual([403, null]);
});

test("wrong tokens are slowed by 429; sessions, the right token and requests without one are not", async () => {
  const { headers } = await logIn();
  for (let count = 0; count < 10; count += 1) expect((await api("/buckets")).status).toBe(401);
  const wrong = async (count: number) =>
    count % 2 === 0
      ? api("/session", { body: { token: "a wrong token" } })
      : api("/buckets", { headers: bearer("a wrong token") });
  for (let count = 0; count < 5; count += 1) expect((await wrong(count)).status).toBe(401);
  const began = performance.now();
  const refused = await Promise.all([wrong(0), wrong(1)]);
  expect(performance.now() - began).toBeGreaterThan(900);
  for (const answer of refused) {
    expect([answer.status, answer.headers.get("retry-after")]).toEqual([429, "30"]);
    expect(answer.text).not.toContain("a wrong token");
  }
  expect((await api("/buckets", { headers })).status).toBe(200);
  expect((await api("/buckets", { headers: bearer(TOKEN) })).status).toBe(200);
  expect((await api("/buckets")).status).toBe(401);
  await logIn();
});

test("logins, logouts and refused logins are in the operation log and in the log, without tokens", async () => {
  const { headers, csrfToken } = await logIn({ "x-forwarded-for": "203.0.113.9", "user-agent": "a browser" });
  await api("/session/end", { headers: { ...headers, "x-csrf-token": csrfToken }, body: {} });
  const entriesOf = async (operation: string) =>
    JSON.parse((await api(`/log?operation=${operation}`, { headers: bearer(TOKEN) })).text).entries;
  const logins = await entriesOf("login");
  expect(logins).toContainEqual(
    expect.objectContaining({ bucket: "", code: 0, client: "203.0.113.9", userAgent: "a browser", fileid: "" }),
  );
  expect(logins).toContainEqual(expect.objectContaining({ code: -81, message: expect.stringContaining("wrong") }));
  expect((await entriesOf("logout")).length).toBeGreaterThan(0);
  await api("/callbacks/drop", {
    headers: { ...bearer(TOKEN), "x-forwarded-for": "203.0.113.9" },
    body: { all: true },
  });
  await api("/migrations/stop", { headers: bearer(TOKEN), body: { id: "none" } });
  const changes = (await entriesOf("change")) as readonly Entry[];
  expect(changes.map(({ code, url, client, message }) => [code, url, client, message])).toEqual([
    [0, "/api/v1/callbacks/drop", "203.0.113.9", "callbacks drop, done"],
    [-100, "/api/v1/migrations/stop", "127.0.0.1", "migration stop, failed"],
  ]);
  const lines = () => program.output.split("\n").filter((line) => line.includes('"operation":"login"'));
  await eventually(() => lines().length > 1, "logins are logged");
  for (const secret of [TOKEN, "a wrong token", csrfToken, headers.cookie.split("=")[1] ?? ""]) {
    expect(program.output).not.toContain(secret);
    expect(JSON.stringify(logins)).not.toContain(secret);
  }
});

test("a page of another site may link to the console, but not use the API", async () => {
  // fetch() would set the mode itself.
  const statusOf = async (path: string, site: string, mode: string) => {
    const headers = { ...bearer(TOKEN), "sec-fetch-site": site, "sec-fetch-mode": mode };
    return (await get({ port: program.adminPort, host: "localhost", path, headers })).status;
  };
  for (const [path, sites, mode, status] of [
    ["/api/v1/buckets", ["cross-site", "same-site", "other"], "no-cors", 403],
    ["/api/v1/buckets", ["cross-site", "same-site"], "navigate", 403],
    ["/%61pi/v1/buckets", ["cross-site"], "navigate", 403],
    ["/", ["cross-site", "same-site"], "no-cors", 403],
    ["/", ["cross-site", "same-site"], "navigate", 200],
    ["/api/v1/buckets", ["same-origin", "none"], "cors", 200],
  ] as const)
    for (const site of sites)
      expect([path, site, mode, await statusOf(path, site, mode)]).toEqual([path, site, mode, status]);
});

test("every cookie of the session's name is tried, and a logout ends each session", async () => {
  const [one, other] = [await logIn(), await logIn()];
  const wrong = `huiyuan_session=${"x".repeat(43)}`;
  const cookies = (...own: readonly string[]) => ({ cookie: own.join("; ") });
  for (const headers of [
    cookies(wrong, one.headers.cookie),
    cookies("huiyuan_session=", "huiyuan_session", `__Host-${wrong}`, one.headers.cookie, wrong),
  ]) {
    expect(JSON.parse((await api("/session", { headers })).text)).toEqual({ isOpen: true, csrfToken: one.csrfToken });
    const call = { headers: { ...headers, "x-csrf-token": one.csrfToken }, body: PURGE };
    expect((await api("/objects/purge", call)).status).toBe(200);
  }
  expect((await api("/buckets", { headers: cookies(`not_${one.headers.cookie}`, wrong) })).status).toBe(401);
  const both = { ...cookies(wrong, one.headers.cookie, other.headers.cookie), "x-csrf-token": other.csrfToken };
  await api("/session/end", { headers: both, body: {} });
  for (const { headers } of [one, other]) expect((await api("/buckets", { headers })).status).toBe(401);
});

test("every answer of the port forbids foreign content and framing", async () => {
  for (const path of ["/", "/healthz", "/api/v1/buckets", "/nothing"]) {
    const { headers } = await ask(path);
    expect(headers.get("content-security-policy")).toBe(
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    );
    expect([headers.get("x-frame-options"), headers.get("referrer-policy")]).toEqual(["DENY", "no-referrer"]);
  }
});

test("live figures count downloads, bytes, errors and the origin's latency", async () => {
  await get({ port: program.downloadPort, path: "/live.jpg" });
  await eventually(
    async () => (await api("/objects/stat?name=live.jpg", { headers: bearer(TOKEN) })).text.includes('"object"'),
    "live.jpg is stored",
  );
  const { body } = await get({ port: program.downloadPort, path: "/live.jpg" });
  await get({ port: program.downloadPort, path: "/missing.jpg" });
  const answer = await api("/live", { headers: bearer(TOKEN) });
  const { requests, errors, bytes, savedBytes, origins, running, memory } = JSON.parse(answer.text);
  expect(requests).toContainEqual({ outcome: "hit", tier: expect.any(String), count: 1 });
  expect(requests).toContainEqual({ outcome: "miss", tier: expect.any(String), count: 1 });
  expect(errors).toContainEqual({ code: "not_found", count: 1 });
  expect(savedBytes).toBe(body.byteLength);
  expect(bytes).toBeGreaterThanOrEqual(2 * body.byteLength);
  // A 404 is a response too.
  expect(origins).toMatchObject([{ name: origin.url, state: "closed", latency: { p50: expect.any(Number) } }]);
  expect(running).toEqual({ fills: 0, renders: 0, waitingRenders: 0, uploads: 0, waitingWrites: 0 });
  expect(memory.residentBytes).toBeGreaterThan(1e6);
});

test("a call whose session ends before its body has arrived is refused, and changes nothing", async () => {
  const { headers, csrfToken } = await logIn();
  const own = { ...headers, "x-csrf-token": csrfToken };
  const jpeg = await noisyJpeg(20, 20);
  const hash = createHash("sha256").update(jpeg).digest("hex");
  const calls = [
    begin({ method: "POST", path: "/objects/purge", headers: own, body: Buffer.from(JSON.stringify(PURGE)) }),
    begin({ method: "PUT", path: "/objects/upload?key=late.jpg", headers: own, body: jpeg }),
    begin({ method: "PUT", path: `/objects/content?key=late.jpg&sha256=${hash}`, headers: own, body: jpeg }),
  ];
  // The server has the head of each call, because it answers 100.
  await Promise.all(calls.map(({ begun }) => begun));
  await api("/session/end", { headers: own, body: {} });
  expect(await Promise.all(calls.map(({ finish }) => finish()))).toEqual([401, 401, 401]);
  const { text } = await api("/objects/stat?name=late.jpg", { headers: bearer(TOKEN) });
  expect(text).not.toContain('"object":{');
});

test("the overview has the size of the store, and what the alert rules and the settings say", async () => {
  const overview = async () => JSON.parse((await api("/overview", { headers: bearer(TOKEN) })).text);
  expect(await overview()).toMatchObject({ version: expect.any(String), buckets: 1, stored: { objects: 1 } });
  expect((await overview()).attention).toEqual([]);
  const { server, ...rest } = settingsWith({ adminToken: "env:TOKEN", trustedProxies: ["127.0.0.1"] }) as {
    server: object;
  };
  await installation.write({ ...rest, server, nonsense: 1 });
  await eventually(async () => (await overview()).attention.length > 0, "the refused file is noted");
  expect((await overview()).attention).toEqual([
    {
      ...{
        severity: "warning",
        code: "HuiyuanReloadFailed",
        message: expect.stringMatching(/huiyuan\.yaml:1:\d+ .*unknown key/),
      },
      mend: { page: "/buckets", command: "huiyuan check" },
    },
  ]);
  await installation.write({ ...rest, server });
  await eventually(async () => (await overview()).attention.length === 0, "the mended file is in force");
});

test("a body before login that is not whole after 10 s gets 408, and its connection closes", async () => {
  for (const answer of await Promise.all(slow))
    expect(answer).toMatch(/^HTTP\/1\.1 408 .*connection: close.*"code":-103,.*"requestId":"[^"]+"/is);
});

test("a changed token ends every session", async () => {
  const { headers } = await logIn();
  const token = "another-admin-token";
  await installation.write(settingsWith({ adminToken: token, trustedProxies: ["127.0.0.1"] }));
  await eventually(async () => (await api("/buckets", { headers })).status === 401, "the session has ended");
  expect((await api("/live", { headers })).status).toBe(401);
  expect((await api("/live", { headers: bearer(token) })).status).toBe(200);
  expect(await program.stop()).toBe(0);
});

test("a port beyond loopback keeps its token until a restart, also if new settings have none", async () => {
  const open = (server: object) => oneBucket(undefined, {}, { server });
  const other = await install(open({ adminHost: "0.0.0.0", adminToken: TOKEN }));
  const running = await other.start();
  try {
    const statusOf = async (headers: Headers = {}) =>
      (await fetch(`http://127.0.0.1:${running.adminPort}/api/v1/buckets`, { headers })).status;
    expect([await statusOf(), await statusOf(bearer(TOKEN))]).toEqual([401, 200]);
    await other.write(open({ adminHost: "127.0.0.1" }));
    await eventually(() => running.output.includes("new settings are in force"), "the reload");
    expect([await statusOf(), await statusOf(bearer(TOKEN))]).toEqual([401, 200]);
  } finally {
    await running.kill();
    await other.remove();
  }
});

test("without a configured token nothing is needed, and a login makes no session", async () => {
  const other = await install(oneBucket(undefined));
  const running = await other.start();
  try {
    const send = (path: string, body?: object) =>
      fetch(`http://127.0.0.1:${running.adminPort}/api/v1${path}`, {
        ...(body && { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
      });
    expect(await (await send("/session")).json()).toEqual({ isOpen: true });
    const login = await send("/session", { token: "x" });
    expect([await login.json(), login.headers.get("set-cookie")]).toEqual([{ isOpen: true }, null]);
    expect((await send("/objects/purge", PURGE)).status).toBe(200);
    expect(await (await send("/session/end", {})).json()).toEqual({ isOpen: true });
  } finally {
    await running.kill();
    await other.remove();
  }
});

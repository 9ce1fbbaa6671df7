// The server around downloads: bad requests, reload, health, metrics, stopping.
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { eventually, huiyuan, type Installation, install, type Program } from "../helpers/program.ts";
import { sendRaw } from "../helpers/raw.ts";
import { head, response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { APPID, mirrorOf, oneBucket } from "../helpers/settings.ts";

let jpeg: Buffer;
let origin: ScriptedOrigin;
let installation: Installation;
let program: Program;

beforeAll(async () => {
  jpeg = await noisyJpeg(640, 480);
  origin = await startScriptedOrigin(async (request, connection) => {
    if (request.target.startsWith("/gone")) return connection.send(response("", { status: "404 Not Found" }));
    if (!request.target.startsWith("/slow"))
      return connection.send(response(jpeg, { headers: { "Set-Cookie": "a=b" } }));
    await connection.send(head("200 OK", [["Content-Length", String(jpeg.length)]]));
    await connection.send(jpeg.subarray(0, 20_000));
    await connection.pause(1_000);
    return connection.send(jpeg.subarray(20_000));
  });
  installation = await install(
    oneBucket(mirrorOf(origin.url), { separators: ["!"], aliases: { small: "imageView2/2/w/100" } }),
  );
  program = await installation.start();
});
afterAll(async () => {
  await program?.stop();
  await origin?.close();
  await installation?.remove();
});

const request = (target: string, more = "", host = "Host: any.example\r\n") =>
  `GET ${target} HTTP/1.1\r\n${host}${more}Connection: close\r\n\r\n`;

test.each(["POST", "PUT"])(
  "a %s that waits for 100 Continue is refused at once, and its connection ends",
  async (method) => {
    const ask = `${method} /a.jpg HTTP/1.1\r\nHost: any.example\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n`;
    const answer = await sendRaw(program.downloadPort, ask);
    expect(answer.status).toBe(405);
    expect(answer.head).toMatch(/\r\nConnection: close(\r\n|$)/i);
  },
);

describe("bad requests get a 4xx, a code and a request id", () => {
  test.each<[string, string, number]>([
    ["a broken percent escape", request("/%zz"), 400],
    ["NUL in the key", request("/a%00b"), 400],
    ["bytes that are not UTF-8", request("/%ff%fe.jpg"), 400],
    ["a dot segment", request("/a/../b.jpg"), 400],
    ["an escaped dot segment", request("/a/%2e%2e/b.jpg"), 400],
    ["a key of 1,025 bytes", request(`/${"a".repeat(1_025)}`), 400],
    ["no key", request("/"), 404],
    ["no key behind an authority", request("http://any.example"), 404],
    ["no key but a query", request("/?imageView2/2/w/100"), 404],
    ["a URL that is too long", request(`/a.jpg?${"x".repeat(9_000)}`), 414],
    ["no Host header", request("/a.jpg", "", ""), 400],
    ["an absolute target without a Host header", request("http://any.example/a.jpg", "", ""), 400],
    ["a fragment", request("/a.jpg?b#c"), 400],
    ["two Host headers", request("/a.jpg", "Host: other.example\r\n"), 400],
    ["a Host that is no host", request("/a.jpg", "", "Host: a b\r\n"), 400],
    ["an absolute target against its Host", request("http://other.example/a.jpg"), 400],
    ["a POST", "POST /a.jpg HTTP/1.1\r\nHost: any.example\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", 405],
    ["TRACE", "TRACE /a.jpg HTTP/1.1\r\nHost: any.example\r\nConnection: close\r\n\r\n", 405],
    [
      "two different lengths",
      "GET /a.jpg HTTP/1.1\r\nHost: any.example\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
      400,
    ],
    [
      "length and chunked together",
      "GET /a.jpg HTTP/1.1\r\nHost: any.example\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      400,
    ],
    ["a folded header", "GET /a.jpg HTTP/1.1\r\nHost: any.example\r\nX-A: b\r\n c\r\n\r\n", 400],
    ["garbage", "\u0016\u0003\u0001 hello\r\n\r\n", 400],
    ["20 KB of headers", request("/a.jpg", `X-Big: ${"x".repeat(20_000)}\r\n`), 431],
  ])("%s", async (_name, bytes, status) => {
    const answer = await sendRaw(program.downloadPort, bytes);
    expect(answer.status).toBe(status);
    expect(answer.head).toMatch(/^X-ErrNo: -\d+/im);
    const id = /^X-Request-Id: (\S+)/im.exec(answer.head)?.[1];
    const body = JSON.parse(answer.body) as { code: number; message: string; requestId: string };
    expect(body).toMatchObject({ code: expect.any(Number), message: expect.any(String), requestId: id });
    expect(answer.body).not.toMatch(/at .*\.js|node_modules/);
  });

  test("a path without a name describes the service, and allows GET and HEAD only", async () => {
    for (const path of ["/", "/?v=1"]) {
      const root = await get({ port: program.downloadPort, path });
      expect([root.status, root.headers["x-errno"]]).toEqual([404, "-6101"]);
      expect(JSON.parse(root.body.toString()).message).toBe(
        "this is an image mirror: request an image by its path, such as /a.jpg",
      );
      const head = await get({ port: program.downloadPort, path, method: "HEAD" });
      expect([head.status, head.headers["content-length"]]).toEqual([404, String(root.body.length)]);
      expect((await get({ port: program.downloadPort, path, method: "POST" })).status).toBe(405);
      expect((await get({ port: program.downloadPort, path, method: "OPTIONS" })).status).toBe(204);
    }
  });

  test("no bad request reaches the origin", () => {
    expect(origin.requests).toHaveLength(0);
  });

  test("an HTTP/1.0 request without Host is served by the domain for any host", async () => {
    const answer = await sendRaw(program.downloadPort, "GET /no-host.jpg HTTP/1.0\r\n\r\n");
    expect(answer.status).toBe(200);
    expect(answer.head).toMatch(new RegExp(`^Content-Length: ${jpeg.length}\r?$`, "im"));
  });

  test("an invalid instruction gets 400 before any fetch, never the original", async () => {
    for (const path of ["/p.jpg?imageView2/9/w/100", "/p.jpg?imageMogr2%2Fthumbnail%2F50y", "/p.jpg?watermark/2"]) {
      const answer = await get({ port: program.downloadPort, path });
      expect([path, answer.status, answer.headers["x-errno"]]).toEqual([path, 400, "-106"]);
    }
  });

  test("an unknown host gets 404 if no domain serves any host", async () => {
    const other = await install({
      projects: [{ appid: APPID, keys: [{ secretId: "A", secretKey: "B" }], buckets: [{ name: "photos" }] }],
    });
    const alone = await other.start();
    try {
      const answer = await get({ port: alone.downloadPort, path: "/a.jpg", host: "nobody.example" });
      expect([answer.status, answer.headers["x-errno"]]).toEqual([404, "-104"]);
      const root = await get({ port: alone.downloadPort, path: "/", host: "nobody.example" });
      expect([root.status, root.headers["x-errno"]]).toEqual([404, "-104"]);
      const own = await get({ port: alone.downloadPort, path: "/a.jpg", host: `photos-${APPID}.localhost` });
      expect([own.status, own.headers["x-errno"]]).toEqual([404, "-6101"]);
    } finally {
      await alone.stop();
      await other.remove();
    }
  });
});

test("a stored image has validators and no cookie, and conditions and ranges work", async () => {
  const path = "/plain.jpg";
  const first = await get({ port: program.downloadPort, path });
  expect([first.status, first.headers["set-cookie"]]).toEqual([200, undefined]);
  await eventually(
    async () => /detail=memory/.test(String((await get({ port: program.downloadPort, path })).headers["cache-status"])),
    "a hit in memory",
  );
  const hit = await get({ port: program.downloadPort, path });
  const etag = String(hit.headers.etag);
  expect(hit.headers).toMatchObject({
    "content-type": "image/jpeg",
    "content-length": String(jpeg.length),
    "accept-ranges": "bytes",
    "cache-control": "public, max-age=86400",
    "cache-status": "huiyuan; hit; detail=memory",
    "x-content-type-options": "nosniff",
    "access-control-allow-origin": "*",
    etag: expect.stringMatching(/^"[0-9a-f]{32}"$/),
    "last-modified": expect.stringMatching(/GMT$/),
  });
  expect(hit.headers["set-cookie"]).toBeUndefined();
  const ask = (headers: Record<string, string>, method = "GET") =>
    get({ port: program.downloadPort, path, headers, method });
  expect((await ask({ "If-None-Match": etag })).status).toBe(304);
  expect((await ask({ "If-None-Match": etag })).headers).toMatchObject({
    etag,
    "cache-control": "public, max-age=86400",
  });
  expect((await ask({ "If-Modified-Since": String(hit.headers["last-modified"]) })).status).toBe(304);
  expect((await ask({ "If-Match": '"other"' })).status).toBe(412);
  const part = await ask({ Range: "bytes=10-19", "If-Range": etag });
  expect([part.status, part.headers["content-range"], part.body.equals(jpeg.subarray(10, 20))]).toEqual([
    206,
    `bytes 10-19/${jpeg.length}`,
    true,
  ]);
  expect((await ask({ Range: "bytes=10-19", "If-Range": '"other"' })).status).toBe(200);
  expect((await ask({ Range: `bytes=${jpeg.length}-` })).status).toBe(416);
  const several = await ask({ Range: "bytes=0-1,-2" });
  expect([several.status, several.body.equals(jpeg)]).toEqual([200, true]);
  expect(several.body.length).toBe(Number(several.headers["content-length"]));
  const asHead = await ask({}, "HEAD");
  const { date: _a, "x-request-id": _b, ...headHeaders } = asHead.headers;
  const { date: _c, "x-request-id": _d, ...getHeaders } = (await ask({})).headers;
  expect(headHeaders).toEqual(getHeaders);
});

test("a 404 of the origin is cached, and counts as no failure", async () => {
  for (let time = 0; time < 3; time += 1) {
    const answer = await get({ port: program.downloadPort, path: "/gone.jpg" });
    expect([answer.status, answer.headers["x-errno"], answer.headers["cache-control"]]).toEqual([
      404,
      "-6101",
      "no-store",
    ]);
  }
  expect(origin.requests.filter((one) => one.target === "/gone.jpg")).toHaveLength(1);
});

test("health, readiness and metrics are served on the admin port, and only under its own host names", async () => {
  const admin = (path: string, host = "localhost", headers = {}) =>
    get({ port: program.adminPort, path, host, headers });
  expect((await admin("/healthz")).status).toBe(200);
  expect((await admin("/readyz")).status).toBe(200);
  const metrics = (await admin("/metrics")).body.toString();
  expect(metrics).toMatch(/^huiyuan_requests_total\{outcome="hit",tier="memory"\} [1-9]/m);
  expect(metrics).toMatch(/^huiyuan_fills_total [1-9]/m);
  expect(metrics).toMatch(/^huiyuan_origin_seconds_bucket/m);
  expect(metrics).toMatch(/^huiyuan_saved_bytes_total [1-9]/m);
  expect((await admin("/metrics", "rebound.example")).status).toBe(421);
  expect((await admin("/metrics", "localhost", { Origin: "https://evil.example" })).status).toBe(403);
  expect((await admin("/nothing")).status).toBe(404);
});

test("a faulty settings file is refused and reported, and a valid one takes effect without dropping a request", async () => {
  const slow = get({ port: program.downloadPort, path: "/slow-reload.jpg" });
  await eventually(
    () => origin.requests.some((one) => one.target === "/slow-reload.jpg"),
    "the slow request is under way",
  );
  await writeFile(installation.file, "projects: nonsense\nunknown: 1\n");
  await eventually(
    async () =>
      /is refused/.test((await get({ port: program.adminPort, path: "/readyz", host: "localhost" })).body.toString()),
    "the fault is reported",
  );
  expect((await get({ port: program.downloadPort, path: "/plain.jpg" })).status).toBe(200);
  expect(program.output).toMatch(/faults/);
  // SIGHUP reloads at once, which shows what a busy machine adds. The best of three is compared.
  const times = { polled: [] as number[], signalled: [] as number[] };
  for (const seconds of [5, 6, 7, 8, 9, 10]) {
    const cacheControl = `public, max-age=${seconds}`;
    const began = performance.now();
    await installation.write(oneBucket(mirrorOf(origin.url), { cacheControl }));
    if (seconds % 2 === 0) process.kill(program.pid, "SIGHUP");
    await eventually(
      async () =>
        (await get({ port: program.downloadPort, path: "/plain.jpg" })).headers["cache-control"] === cacheControl,
      "the new settings are in force",
    );
    times[seconds % 2 === 0 ? "signalled" : "polled"].push(performance.now() - began);
  }
  expect(Math.min(...times.polled)).toBeLessThan(Math.min(...times.signalled) + 1_000);
  const answer = await slow;
  expect([answer.status, answer.isWhole, answer.body.equals(jpeg)]).toEqual([200, true, true]);
});

test("SIGHUP reloads the settings, changed or not, and interrupts no request", async () => {
  const inForce = () => program.output.split("new settings are in force").length;
  const before = inForce();
  process.kill(program.pid, "SIGHUP");
  await eventually(() => inForce() > before, "the settings are reloaded");
  expect((await get({ port: program.downloadPort, path: "/plain.jpg" })).status).toBe(200);
});

test("an edited notFound page is reloaded, and a missing settings file is reported until it is back", async () => {
  const readyz = async () =>
    (await get({ port: program.adminPort, path: "/readyz", host: "localhost" })).body.toString();
  const page = async () => (await get({ port: program.downloadPort, path: "/gone-page.jpg" })).body.toString();
  await writeFile(join(installation.folder, "404.html"), "<p>one");
  await installation.write(oneBucket(mirrorOf(origin.url), { notFound: { file: "./404.html" } }));
  await eventually(async () => (await page()) === "<p>one", "the page is served");
  await writeFile(join(installation.folder, "404.html"), "<p>another");
  await eventually(async () => (await page()) === "<p>another", "the new page is served");

  const text = await readFile(installation.file);
  await rm(installation.file);
  await eventually(async () => /no such settings file/.test(await readyz()), "the fault is reported");
  expect(program.output).toMatch(/faults[^\n]*no such settings file/);
  expect((await page()) === "<p>another").toBe(true);
  await writeFile(installation.file, text);
  await eventually(async () => !/settings file/.test(await readyz()), "the fault is no longer reported");
});

test.skipIf(process.platform !== "linux")("a data folder that cannot be created stops the start at once", async () => {
  const other = await install({ ...oneBucket(undefined) });
  try {
    await writeFile(other.file, (await readFile(other.file, "utf8")).replace(other.data, "/proc/huiyuan/data"));
    const { code, err } = await huiyuan(["serve", "--config", other.file]);
    expect([code, err]).toEqual([1, expect.stringMatching(/Cannot use the data folder "\/proc\/huiyuan\/data"/)]);
  } finally {
    await other.remove();
  }
});

test("a reload drops no request that waits for a connection to the origin", async () => {
  const waiting = await startScriptedOrigin(async (_request, connection) => {
    await connection.pause(700);
    await connection.send(response(jpeg));
  });
  const one = (connections: number) =>
    oneBucket({ origins: [{ type: "site", url: waiting.url, allowPrivate: true, connections }] });
  const other = await install(one(2));
  const server = await other.start();
  try {
    const asked = [1, 2, 3, 4, 5, 6].map((number) =>
      get({ port: server.downloadPort, path: `/waiting-${number}.jpg` }),
    );
    await waiting.received(2);
    await other.write(one(3));
    await eventually(() => /new settings are in force/.test(server.output), "the reload");
    expect((await Promise.all(asked)).map((answer) => [answer.status, answer.body.equals(jpeg)])).toEqual(
      asked.map(() => [200, true]),
    );
  } finally {
    await server.stop();
    await waiting.close();
    await other.remove();
  }
});

test("SIGTERM lets a running download finish, and exits 0", async () => {
  const slow = get({ port: program.downloadPort, path: "/slow-stop.jpg" });
  await eventually(
    () => origin.requests.some((one) => one.target === "/slow-stop.jpg"),
    "the slow request is under way",
  );
  const code = program.stop();
  const answer = await slow;
  expect([answer.status, answer.isWhole, answer.body.equals(jpeg)]).toEqual([200, true, true]);
  expect(await code).toBe(0);
  program = await installation.start();
  expect((await get({ port: program.downloadPort, path: "/slow-stop.jpg" })).headers["cache-status"]).toBe(
    "huiyuan; hit; detail=bucket",
  );
});

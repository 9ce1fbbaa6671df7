// Features for load balancers and proxies in front: the health path, the drain delay, and host names of the admin port.
import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { eventually, type Installation, install, type Program, within } from "../helpers/program.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { mirrorOf, oneBucket } from "../helpers/settings.ts";

const PATH = "/.well-known/huiyuan";

let jpeg: Buffer;
let origin: ScriptedOrigin;
const installations: Installation[] = [];

beforeAll(async () => {
  jpeg = await noisyJpeg(64, 48);
  origin = await startScriptedOrigin((_request, connection) => connection.send(response(jpeg)));
});
afterAll(async () => {
  await origin?.close();
  for (const installation of installations) await installation.remove();
});

const settingsWith = (server: object) => ({ ...oneBucket(mirrorOf(origin.url)), server });

async function start(server: object) {
  const installation = await install(settingsWith(server));
  installations.push(installation);
  return { installation, program: await installation.start() };
}

const health = (program: Program, path = PATH, more: object = {}) =>
  get({ port: program.downloadPort, path, host: "nobody.example", ...more });

const readyz = (program: Program) => get({ port: program.adminPort, path: "/readyz", host: "127.0.0.1" });

test("the health path answers for any host, and is no download", async () => {
  const { program } = await start({ accessLog: "misses" });
  // A download leaves a line in the log and a count in the metrics, so that their absence below means something.
  expect((await get({ port: program.downloadPort, path: "/one-miss.jpg" })).status).toBe(200);
  const before = origin.requests.length;
  const answer = await health(program);
  expect([answer.status, answer.headers["cache-control"], answer.body.toString()]).toEqual([
    200,
    "no-store",
    '{"status":"ready"}\n',
  ]);
  expect(answer.headers["x-request-id"]).toMatch(/./);
  const head = await health(program, PATH, { method: "HEAD" });
  expect([head.status, head.headers["content-length"], head.body.length]).toEqual([200, String(answer.body.length), 0]);
  // The fast path does not serve this request, so node's server does.
  expect((await health(program, PATH, { headers: { "Content-Length": "0" } })).status).toBe(200);
  expect(origin.requests.length).toBe(before);
  const metrics = await get({ port: program.adminPort, path: "/metrics", host: "127.0.0.1" });
  const counted = [...metrics.body.toString().matchAll(/^huiyuan_requests_total\{(.*)\} ([1-9]\d*)$/gm)];
  expect(counted.map(([, labels, count]) => [labels, count])).toEqual([[expect.stringContaining('"miss"'), "1"]]);
  expect(await program.stop()).toBe(0);
  expect(program.output).toContain("/one-miss.jpg");
  expect(program.output).not.toContain(PATH);
});

test("healthPath and adminHosts of a changed file are in force without a restart", async () => {
  const { installation, program } = await start({ adminHosts: ["admin.example.com", "[2001:db8::1]"] });
  const admin = async (host: string) =>
    (await get({ port: program.adminPort, path: "/healthz", host, headers: { Origin: `https://${host}` } })).status;
  const statuses = async () => [
    await admin("Admin.example.com."),
    await admin("admin.example.com:8443"),
    await admin("[2001:db8::1]"),
    await admin("other.example.com"),
    await admin("localhost"),
  ];
  expect(await statuses()).toEqual([200, 200, 200, 421, 200]);
  await installation.write(settingsWith({ healthPath: "/up", adminHosts: ["other.example.com"] }));
  await eventually(
    async () => /^\{"status":"ready"/.test((await health(program, "/up")).body.toString()),
    "it is read",
  );
  expect(await statuses()).toEqual([421, 421, 421, 200, 200]);
  expect(JSON.parse((await readyz(program)).body.toString())).toEqual({ status: "ready", notes: [] });
  await program.stop();
});

test("after SIGTERM the program serves during the drain delay, also new connections, and reports not ready", async () => {
  const { program } = await start({ drainDelay: "1h" });
  const stopped = program.stop();
  await eventually(async () => (await health(program)).status === 503, "the health path reports it");
  expect((await health(program)).body.toString()).toBe('{"status":"not ready"}\n');
  expect((await readyz(program)).status).toBe(503);
  const image = await get({ port: program.downloadPort, path: "/while-draining.jpg" });
  expect([image.status, image.body.equals(jpeg)]).toEqual([200, true]);
  expect(program.output).toContain('"milliseconds":3600000');
  process.kill(program.pid, "SIGTERM");
  expect(await within(stopped, 10_000, () => "it did not end")).toBe(0);
  expect(program.output).toMatch(/the drain delay is over.*"stopped"/s);
  await expect(health(program)).rejects.toThrow("ECONNREFUSED");
});

test("Ctrl-C ends the drain delay too, in order", async () => {
  const { program } = await start({ drainDelay: "1h" });
  const stopped = program.stop();
  await eventually(async () => (await health(program)).status === 503, "the drain delay has begun");
  process.kill(program.pid, "SIGINT");
  expect(await within(stopped, 10_000, () => "it did not end")).toBe(0);
});

test("without a drain delay, the next response on an open connection also reports not ready", async () => {
  const { program } = await start({});
  const socket = connect({ port: program.downloadPort, host: "127.0.0.1", noDelay: true });
  const ask = `GET ${PATH} HTTP/1.1\r\nHost: nobody.example\r\n\r\n`;
  let received = "";
  socket.on("data", (bytes: Buffer) => {
    received += bytes.toString("latin1");
  });
  socket.write(ask);
  await eventually(() => received.endsWith('{"status":"ready"}\n'), "it is ready");
  received = "";
  const stopped = program.stop();
  // The signal has come; the connection has been idle since.
  await eventually(() => program.output.includes('"stopping"'), "it stops");
  const closed = once(socket, "close");
  socket.write(ask);
  await closed;
  expect(received).toMatch(/^HTTP\/1\.1 503 [^{]*\r\nConnection: close\r\n\r\n\{"status":"not ready"\}\n$/);
  expect(await stopped).toBe(0);
});

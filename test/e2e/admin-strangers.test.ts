// Clients without a session or token at the admin port: what their bodies and connections may cost, and who still gets
// answers beside a flood of them.
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { residentBytes } from "../bench/processes.ts";
import { eventually, type Installation, install, PATIENCE_MS, type Program, within } from "../helpers/program.ts";
import { sendRaw } from "../helpers/raw.ts";
import { oneBucket } from "../helpers/settings.ts";

const TOKEN = "the-right-admin-token";
const MAX_CONNECTIONS = 256;
let installation: Installation;
let program: Program;

beforeAll(async () => {
  installation = await install(oneBucket(undefined, {}, { server: { adminToken: TOKEN } }));
  program = await installation.start();
});
afterAll(async () => {
  await program?.kill();
  await installation?.remove();
});

const bearer = `Authorization: Bearer ${TOKEN}\r\n`;
const head = (line: string, headers = "") => `${line} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`;
const post = (path: string, headers: string) =>
  head(`POST ${path}`, `Content-Type: application/json\r\n${headers}\r\n`);

interface Client {
  readonly socket: Socket;
  readonly text: () => string;
  readonly isOpen: () => boolean;
}

/** Connects from an address of this machine, and sends `bytes`. */
async function open(bytes: string | Buffer, localAddress = "127.0.0.1"): Promise<Client> {
  const socket = connect({ port: program.adminPort, host: "127.0.0.1", localAddress });
  let text = "";
  let isClosed = false;
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
  });
  socket.on("error", () => undefined); // `close` follows
  socket.on("close", () => {
    isClosed = true;
  });
  await once(socket, "connect");
  socket.write(bytes);
  return { socket, text: () => text, isOpen: () => !isClosed };
}

const flood = (count: number, bytes: string | Buffer, addressOf = (_: number) => "127.0.0.1") =>
  Promise.all(Array.from({ length: count }, (_, index) => open(bytes, addressOf(index))));
const openOnes = (clients: readonly Client[]) => clients.filter(({ isOpen }) => isOpen());
const leave = (clients: readonly Client[]) => {
  for (const { socket } of clients) socket.destroy();
};
/** Sends one more request on an open connection; yields the status of its answer. */
async function statusOf({ socket, text }: Client, request: string): Promise<string | undefined> {
  const before = text().length;
  const answered = once(socket, "data");
  socket.write(request);
  await within(
    answered,
    PATIENCE_MS,
    () => `no answer on a connection that ${socket.destroyed ? "closed" : "is open"}`,
  );
  return /^HTTP\/1\.1 (\d+)/.exec(text().slice(before))?.[1];
}

test("a body before login has at most 4 KiB: 413, unread if its length is declared", async () => {
  const refused = /^HTTP\/1\.1 413 .*"code":-103,.*"requestId":"[^"]+"/s;
  const tooLong = " ".repeat(5_000);
  const chunk = `1388\r\n${tooLong}\r\n`;
  for (const request of [
    post("/api/v1/session", "Content-Length: 4097"),
    post("/api/v1/session", "Transfer-Encoding: chunked") + chunk,
    post("/api/v1/session", `Cookie: huiyuan_session=${"x".repeat(43)}\r\nTransfer-Encoding: chunked`) + chunk,
  ]) {
    const { head: answer, body } = await sendRaw(program.adminPort, request, 200);
    expect(answer + body).toMatch(refused);
    expect(answer).toMatch(/^connection: close/im);
  }
  const login = JSON.stringify({ token: TOKEN }).padEnd(4_096);
  const { status, head: answer } = await sendRaw(
    program.adminPort,
    post("/api/v1/session", "Content-Length: 4096") + login,
    200,
  );
  expect(status).toBe(200);
  const cookie = /^set-cookie: ([^;]+)/im.exec(answer)?.[1];
  const call = JSON.stringify({ url: "http://any.example/a.jpg" }).padEnd(5_000);
  for (const credential of [`Cookie: ${cookie}\r\n`, bearer]) {
    const csrf = /"csrfToken":"([^"]+)"/.exec(
      (await sendRaw(program.adminPort, head("GET /api/v1/session", credential), 200)).body,
    )?.[1];
    const headers = `${credential}X-CSRF-Token: ${csrf}\r\nContent-Length: 5000`;
    expect((await sendRaw(program.adminPort, post("/api/v1/explain", headers) + call, 200)).status).toBe(200);
  }
});

test("no path reads a body before login, and the connection of an unread one closes", async () => {
  for (const [line, status] of [
    ["GET /healthz", 200],
    ["HEAD /readyz", 200],
    ["POST /healthz", 405],
    ["PUT /api/v1/objects/content", 401],
    ["POST /api/v1/session/end", 401],
    ["POST /trial/use", 405],
    ["DELETE /metrics", 401],
    ["GET /metrics", 401],
  ] as const) {
    const client = await open(head(line, "Content-Length: 1000000\r\n"));
    await eventually(() => client.text() !== "", `an answer to ${line}`);
    expect([line, client.text().slice(0, 12)]).toEqual([line, `HTTP/1.1 ${status}`]);
    await eventually(() => !client.isOpen(), `the connection of ${line} has closed`);
  }
});

test("800 unfinished logins keep 256 connections and little memory, and lock nobody out", async () => {
  const monitor = await open(head("GET /metrics", bearer));
  const browser = await open(head("GET /healthz"), "127.0.0.3");
  const body = Buffer.alloc(524_288, " ");
  const request = Buffer.concat([Buffer.from(post("/api/v1/session", "Transfer-Encoding: chunked")), body]);
  const chunk = Buffer.concat([Buffer.from("100000\r\n"), body]);
  const before = residentBytes(program.pid).now;
  const clients = await flood(800, Buffer.concat([request.subarray(0, request.length - body.length), chunk]));
  await eventually(
    () => openOnes(clients).length <= MAX_CONNECTIONS,
    "the connections beyond 256 have closed",
    PATIENCE_MS,
  );
  // Half of what was sent would be 200 MiB.
  expect(residentBytes(program.pid).now - before).toBeLessThan((800 * body.length) / 2);
  // The same address as the flood's, with the token on a connection of before, and without one on a new connection.
  expect(await statusOf(monitor, head("GET /metrics", bearer))).toBe("200");
  expect((await sendRaw(program.adminPort, head("GET /healthz", "Connection: close\r\n"))).status).toBe(200);
  const login = JSON.stringify({ token: TOKEN });
  const operator = await open("");
  expect(await statusOf(operator, post("/api/v1/session", `Content-Length: ${login.length}`) + login)).toBe("200");
  // The oldest connection of all, but its address is not the busiest.
  expect(await statusOf(browser, head("GET /healthz"))).toBe("200");
  leave([...clients, monitor, browser, operator]);
});

test("beyond 256 connections the oldest of the busiest address closes; those with a session or token stay", async () => {
  const quiet = await flood(100, "", () => "127.0.0.2");
  const known = await flood(20, head("GET /api/v1/buckets", bearer));
  await eventually(() => known.every(({ text }) => text().endsWith("}")), "the calls are answered");
  const busy: Client[] = [];
  for (let count = 0; count < 200; count += 1) busy.push(await open("", "127.0.0.4"));
  await eventually(() => openOnes(busy).length <= 156, "the busiest address has room for the others", PATIENCE_MS);
  expect(busy.map(({ isOpen }) => isOpen())).toEqual(busy.map((_, index) => index >= 44));
  expect([openOnes(quiet).length, openOnes(known).length]).toEqual([100, 20]);
  for (const each of known) expect(await statusOf(each, head("GET /api/v1/buckets", bearer))).toBe("200");
  leave([...quiet, ...known, ...busy]);
});

test("six connections of a browser stay beside a flood of one from each of many addresses", async () => {
  const addressOf = (index: number) => `127.0.${1 + Math.floor(index / 200)}.${1 + (index % 200)}`;
  const before = await flood(300, "", addressOf);
  const browser = await flood(6, "", () => "127.0.0.5");
  const after = await flood(200, "", (index) => addressOf(400 + index));
  await eventually(
    () => openOnes([...before, ...after]).length <= 250,
    "the oldest connections have closed",
    PATIENCE_MS,
  );
  for (const each of browser) expect(await statusOf(each, head("GET /healthz"))).toBe("200");
  leave([...before, ...browser, ...after]);
});

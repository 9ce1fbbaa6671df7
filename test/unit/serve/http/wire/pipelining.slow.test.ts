// Pipelined requests at node's server: they run one at a time, and none runs for a client that has gone.
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { EventEmitter, once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { connect, Socket } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { afterEach, expect, test, vi } from "vitest";
import type { DownloadResponse } from "../../../../../src/serve/http/request/download-response.ts";
import { NodeResponse } from "../../../../../src/serve/http/request/exchange.ts";
import { createPipelining } from "../../../../../src/serve/http/wire/pipelining.ts";
import { type HttpServer, startServer } from "../../../../../src/serve/http/wire/server.ts";
import { eventually, within } from "../../../../helpers/program.ts";

const LARGE = Buffer.alloc(16_000_000, "x");
const get = (path: string, ...fields: string[]) =>
  [`GET ${path} HTTP/1.1`, "Host: a.example", ...fields, "", ""].join("\r\n");
const post = (bytes: number, body: string) => `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${bytes}\r\n\r\n${body}`;

const open: { readonly stop: () => Promise<void> | void }[] = [];
afterEach(async () => {
  for (const { stop } of open.splice(0).reverse()) await stop();
});

async function serve(listener: (request: IncomingMessage, response: ServerResponse) => void): Promise<HttpServer> {
  const server = await startServer({ host: "127.0.0.1", port: 0, nextRequestId: () => "id", listener });
  open.push({ stop: () => server.stop(0) });
  return server;
}

function client({ port }: HttpServer): Socket & { received: string } {
  const socket = Object.assign(connect({ port, host: "127.0.0.1" }), { received: "" });
  socket.on("error", () => {}); // `close` follows
  socket.on("data", (bytes: Buffer) => {
    socket.received += bytes.toString("latin1");
  });
  open.push({ stop: () => void socket.destroy() });
  return socket;
}

const closed = (socket: Socket) => within(once(socket, "close"), 5_000, () => "the connection was not closed");

function answer(response: DownloadResponse | ServerResponse, text: string): void {
  response.writeHead(200, ["Content-Length", String(text.length)] as never); // both take a flat list
  response.end(Buffer.from(text));
}

test.each(["resetAndDestroy", "destroy"] as const)(
  "createPipelining() begins no request for a client that has gone, and notifies the running response (%s)",
  async (leave) => {
    const begun: string[] = [];
    const gone = vi.fn();
    const server = await serve(({ url = "" }, raw) => {
      begun.push(url);
      const response = new NodeResponse(raw);
      response.onceGone(gone);
      response.writeHead(200, ["Content-Length", String(LARGE.length)]);
      response.write(LARGE);
    });
    const socket = client(server).pause();
    socket.write(get("/first") + get("/second") + get("/third"));
    await eventually(() => begun.length > 0, "the first has begun");
    socket[leave]();
    await eventually(() => gone.mock.calls.length > 0, "the response is notified");
    await turn();
    expect([begun, gone.mock.calls.length]).toEqual([["/first"], 1]);
  },
);

test("createPipelining() answers in the order of the requests, one at a time, however many were sent", async () => {
  const paths = Array.from({ length: 3_000 }, (_, index) => `/${index}`);
  let running = 0;
  let most = 0;
  const server = await serve(async ({ url = "" }, response) => {
    running += 1;
    most = Math.max(most, running);
    await turn();
    running -= 1;
    answer(response, url);
  });
  const socket = client(server);
  socket.write(paths.map((path) => get(path, ...(path === "/2999" ? ["Connection: close"] : []))).join(""));
  await closed(socket);
  expect(most).toBe(1);
  expect([...socket.received.matchAll(/\r\n\r\n(\/\d+)/g)].map(([, path]) => path)).toEqual(paths);
});

test("createPipelining() stops reading while many requests wait", async () => {
  let first: ServerResponse | undefined;
  const server = await serve(({ url = "" }, response) => {
    if (url === "/0") first = response;
    else answer(response, url);
  });
  const socket = client(server);
  const sent = get("/0") + get("/x", `X-A: ${"a".repeat(8_000)}`).repeat(4_000);
  socket.write(sent);
  await eventually(() => first !== undefined, "the first has begun");
  const read = first?.req.socket as Socket;
  let before = -1;
  let stillTurns = 0;
  await eventually(() => {
    stillTurns = read.bytesRead === before ? stillTurns + 1 : 0;
    before = read.bytesRead;
    return stillTurns === 100;
  }, "no more is read");
  expect(read.bytesRead).toBeLessThan(400_000);
  answer(first as ServerResponse, "0");
  await eventually(() => socket.received.split("HTTP/1.1 200").length === 4_002, "all are answered", 30_000);
});

test("startServer() lets node's parser read only a few requests ahead", async () => {
  let parsed = 0;
  const count = () => {
    parsed += 1;
  };
  subscribe("http.server.request.start", count);
  open.push({ stop: () => void unsubscribe("http.server.request.start", count) });
  const held: ServerResponse[] = [];
  const server = await serve((_request, response) => void held.push(response));
  const socket = client(server);
  socket.write(get("/x").repeat(999) + get("/x", "Connection: close"));
  let most = 0;
  for (let answered = 0; answered < 1_000; answered += 1) {
    await eventually(() => held.length > 0, "the next has begun");
    await turn();
    most = Math.max(most, parsed - answered);
    for (const response of held.splice(0)) answer(response, "x");
  }
  await closed(socket);
  expect(socket.received.split("200 OK")).toHaveLength(1_001);
  expect(most).toBeGreaterThan(1);
  expect(most).toBeLessThanOrEqual(9);
});

test("startServer() serves other clients between the pipelined requests of one", async () => {
  let answered = 0;
  const server = await serve((_request, response) => {
    answered += 1;
    answer(response, "x");
  });
  const greedy = client(server);
  await once(greedy, "connect");
  greedy.write(get("/x").repeat(1_500));
  await eventually(() => answered > 0, "the first is answered");
  const other = client(server);
  other.write(get("/y"));
  await eventually(() => other.received !== "", "the other is answered");
  expect(answered).toBeLessThan(1_000);
  await eventually(() => greedy.received.split("200 OK").length === 1_501, "all are answered", 30_000);
});

test("createPipelining() begins no request after a response that closes the connection", async () => {
  const begun: string[] = [];
  const server = await serve(({ url = "" }, response) => {
    begun.push(url);
    setImmediate(() => answer(response, url));
  });
  const socket = client(server);
  socket.write(get("/first", "Connection: close") + get("/second"));
  await closed(socket);
  expect(begun).toEqual(["/first"]);
});

test.each([
  ["garbage behind two requests", `${get("/a")}${get("/b")}\u0016\u0003\r\n\r\n`, [200, 200, 400], ["/a", "/b"]],
  ["a body with another behind it", `${get("/a")}${post(2, "abcdef\r\n\r\n")}`, [200, 200, 400], ["/a", "/"]],
  [
    "a body that is broken before its turn",
    `${get("/a")}POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n`,
    [200, 400],
    ["/a", "/b"],
  ],
  [
    "a transfer coding that nobody knows",
    `${get("/a")}POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\nxyz\r\n`,
    [200, 400],
    ["/a"],
  ],
  ["an Expect that nobody knows", get("/a") + get("/b", "Expect: tea") + get("/c"), [200, 400], ["/a"]],
  [
    "CONNECT, behind an offer to upgrade",
    `${get("/a")}${get("/b", "Connection: Upgrade", "Upgrade: h2c")}CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n${get("/c")}`,
    [200, 200, 405],
    ["/a", "/b"],
  ],
])("startServer() refuses in order and closes: %s", async (_what, bytes, statuses, expected) => {
  const begun: string[] = [];
  const server = await serve(({ url = "" }, response) => {
    begun.push(url);
    setImmediate(() => answer(response, url));
  });
  const socket = client(server);
  socket.write(bytes);
  await closed(socket);
  expect([...socket.received.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status))).toEqual(statuses);
  expect(begun).toEqual(expected);
});

test("refuse() stops reading until earlier requests are answered, and only the first fault counts", async () => {
  const socket = new Socket();
  const turns = createPipelining(socket);
  const told: string[] = [];
  const first = Object.assign(new EventEmitter(), { socket, req: { complete: true } }) as unknown as ServerResponse;
  turns.take(first, () => told.push("first"));
  turns.refuse(() => told.push("refused"));
  turns.refuse(() => told.push("late"));
  socket.resume();
  await turn();
  expect([told, socket.isPaused()]).toEqual([["first"], true]);
  first.emit("close");
  expect(told).toEqual(["first", "refused"]);
});

test("startServer() breaks a response whose request body turns out broken", async () => {
  const server = await serve((request, response) => {
    request.resume();
    response.writeHead(200, { "Content-Length": 9 });
    response.write("x");
  });
  const socket = client(server);
  socket.write("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  await eventually(() => socket.received.endsWith("\r\n\r\nx"), "the answer has begun");
  socket.write("no size\r\n");
  await closed(socket);
  expect(socket.received).toMatch(/\r\n\r\nx$/);
});

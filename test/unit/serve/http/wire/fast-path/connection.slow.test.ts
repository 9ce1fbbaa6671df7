// Connections of the fast path: silent clients, clients that do not read, pipelining, early leaving, and the stop.
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import type { DownloadResponse } from "../../../../../../src/serve/http/request/download-response.ts";
import { createFastPath, type FastPathListener } from "../../../../../../src/serve/http/wire/fast-path/fast-path.ts";
import { type HttpServer, startServer } from "../../../../../../src/serve/http/wire/server.ts";
import { within } from "../../../../../helpers/program.ts";

const REQUEST = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a.example\r\n\r\n`;
const LARGE = Buffer.alloc(16_000_000, "x");

const open: { readonly stop: () => Promise<void> | void }[] = [];
afterEach(async () => {
  for (const { stop } of open.splice(0)) await stop();
});

async function serve(listener: FastPathListener["listener"], idleMs = 60_000): Promise<HttpServer> {
  const server = await startServer({
    host: "127.0.0.1",
    port: 0,
    idleMs,
    nextRequestId: () => "id",
    listener: () => expect.unreachable("a plain request left the fast path"),
    accept: createFastPath({ listener, takes: () => true }),
  });
  open.push({ stop: () => server.stop(0) });
  return server;
}

function client(port: number): Socket {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {}); // `close` follows
  open.push({ stop: () => void socket.destroy() });
  return socket;
}

function signalled(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

/** The result of `promise`, with a deadline that no sound response needs. */
const soon = <Value>(promise: Promise<Value>, what: string) => within(promise, 5_000, () => `not in time: ${what}`);

function answer(response: DownloadResponse, text: string): void {
  response.writeHead(200, ["Content-Length", String(text.length)]);
  response.end(Buffer.from(text));
}

async function read(socket: Socket, until: string): Promise<string> {
  let text = "";
  const whole = new Promise<void>((resolve) =>
    socket.on("data", (bytes: Buffer) => {
      text += bytes.toString("latin1");
      if (text.endsWith(until)) resolve();
    }),
  );
  await soon(whole, `"${until}" at the end`);
  return text;
}

test("createFastPath() passes a silent connection to `late`", async () => {
  const late = new Promise<Socket>((resolve) => {
    const fastPath = createFastPath({
      listener: () => expect.unreachable("nothing was asked"),
      takes: () => true,
    })({
      handOver: () => expect.unreachable("nothing was sent"),
      late: resolve,
      end: () => expect.unreachable("nothing was answered"),
      headMs: 20,
      keepAliveMs: 60_000,
      limits: { timeout: 60_000 },
    });
    const server = createServer(fastPath.accept).listen(0, "127.0.0.1", () => {
      const address = server.address();
      client(typeof address === "object" ? (address?.port ?? 0) : 0);
    });
    open.push({ stop: () => void server.close() });
  });
  const socket = await soon(late, "given up");
  expect(["data", "drain", "timeout"].map((event) => socket.listenerCount(event))).toEqual([0, 0, 0]);
  socket.destroy();
});

test("createFastPath() drops a client that reads nothing for `idleMs`", async () => {
  const gone = signalled();
  const server = await serve((_request, response) => {
    response.onceGone(gone.resolve);
    response.writeHead(200, ["Content-Length", String(LARGE.length)]);
    response.end(LARGE);
  }, 100);
  const socket = client(server.port);
  socket.pause();
  socket.write(REQUEST("/"));
  await soon(gone.promise, "the connection is closed");
});

test("createFastPath() answers pipelined requests in order", async () => {
  const waiting: (() => void)[] = [];
  const asked: string[] = [];
  const first = signalled();
  const server = await serve((request, response) => {
    asked.push(request.url ?? "");
    waiting.push(() => answer(response, `<${request.url}>`));
    first.resolve();
  });
  const socket = client(server.port);
  socket.write(REQUEST("/1"));
  await soon(first.promise, "the first request is there");
  socket.write(REQUEST("/2"));
  // By now a wrong response to the second request would have been seen.
  const other = client(server.port);
  other.write(REQUEST("/3"));
  await soon(
    new Promise<void>((resolve) => {
      const look = () => (asked.includes("/3") ? resolve() : setImmediate(look));
      look();
    }),
    "the third request is there",
  );
  expect(asked).toEqual(["/1", "/3"]);
  const text = read(socket, "</2>");
  waiting[0]?.();
  expect(asked).toEqual(["/1", "/3", "/2"]);
  waiting[2]?.();
  expect((await text).match(/<.*?>/g)).toEqual(["</1>", "</2>"]);
});

test("onceGone() calls back if the client leaves before the end, and not after it", async () => {
  const gone: string[] = [];
  const left = signalled();
  const server = await serve((request, response) => {
    response.onceGone(() => {
      gone.push(request.url ?? "");
      left.resolve();
    });
    if (request.url === "/whole") return answer(response, "whole");
    response.writeHead(200);
    response.write(Buffer.from("half"));
  });
  const socket = client(server.port);
  socket.write(REQUEST("/whole"));
  await read(socket, "whole");
  socket.write(REQUEST("/half"));
  await read(socket, "half\r\n");
  socket.destroy();
  await soon(left.promise, "told");
  expect(gone).toEqual(["/half"]);
});

test("stop() closes idle connections and lets the others finish", async () => {
  let finish = () => {};
  const busy = signalled();
  const server = await serve((request, response) => {
    if (request.url !== "/slow") return answer(response, "quick");
    finish = () => answer(response, "slow");
    busy.resolve();
  });
  const [resting, silent, slow] = [client(server.port), client(server.port), client(server.port)];
  resting.write(REQUEST("/quick"));
  await read(resting, "quick");
  slow.write(REQUEST("/slow"));
  await soon(busy.promise, "the slow request is there");
  const stopped = server.stop(60_000);
  await soon(Promise.all([once(resting, "close"), once(silent, "close")]), "the others are closed");
  expect(slow.destroyed).toBe(false);
  const text = read(slow, "slow");
  finish();
  expect(await text).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  await soon(stopped, "the stop is over");
});

test("writeHead() refuses a value that would end its line", async () => {
  const server = await serve((_request, response) => {
    expect(() => response.writeHead(200, ["X-A", "b\r\nX-C: d"])).toThrow();
    answer(response, "sound");
  });
  const socket = client(server.port);
  socket.write(REQUEST("/"));
  expect(await read(socket, "sound")).not.toMatch(/X-C/);
});

/**
 * Sends a request, closes its side, and returns all input until the server closes. `first` is requested and received
 * before.
 */
async function askAndClose(port: number, bytes: string, first?: { bytes: string; arrived: Promise<void> }) {
  const socket = client(port);
  let text = "";
  socket.on("data", (piece: Buffer) => {
    text += piece.toString("latin1");
  });
  const closed = once(socket, "close");
  if (first !== undefined) {
    socket.write(first.bytes);
    await soon(first.arrived, "the first request is there");
  }
  socket.end(bytes);
  await soon(closed, "the connection is closed");
  return text.match(/<.*?>/g);
}

test.each(["/hot", "/cold"])("a client that has closed its side gets its response: %s", async (path) => {
  const server = await serve((request, response) => {
    const send = () => answer(response, `<${request.url}>`);
    if (request.url === "/hot") send();
    else setTimeout(send, 200);
  });
  expect(await askAndClose(server.port, REQUEST(path))).toEqual([`<${path}>`]);
});

test.each(["/fast", "/node"])(
  "a client that has closed its side gets the response to a pipelined request too: %s",
  async (second) => {
    const arrived = signalled();
    const server = await startServer({
      host: "127.0.0.1",
      port: 0,
      nextRequestId: () => "id",
      listener: ({ url }, response) => void setTimeout(() => response.end(`<node ${url}>`), 200),
      accept: createFastPath({
        listener(request, response) {
          arrived.resolve();
          setTimeout(() => answer(response, `<fast ${request.url}>`), 200);
        },
        takes: (url) => url !== "/node",
      }),
    });
    open.push({ stop: () => server.stop(0) });
    const texts = await askAndClose(server.port, REQUEST(second), {
      bytes: REQUEST("/first"),
      arrived: arrived.promise,
    });
    expect(texts).toEqual(["<fast /first>", `<${second.slice(1)} ${second}>`]);
    expect(await askAndClose(server.port, REQUEST("/node"))).toEqual(["<node /node>"]);
  },
);

test("a client that has closed its side and gets no byte for three seconds counts as gone", async () => {
  const gone = signalled();
  const server = await startServer({
    host: "127.0.0.1",
    port: 0,
    nextRequestId: () => "id",
    listener: () => {},
    accept: createFastPath({
      listener: (_request, response) => response.onceGone(gone.resolve),
      takes: (url) => url === "/fast",
    }),
  });
  open.push({ stop: () => server.stop(0) });
  expect(await Promise.all(["/fast", "/node"].map((path) => askAndClose(server.port, REQUEST(path))))).toEqual([
    null,
    null,
  ]);
  await soon(gone.promise, "told");
});

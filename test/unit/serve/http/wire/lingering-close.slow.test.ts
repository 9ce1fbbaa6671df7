// Last responses of connections, and clients that send everything before they read: no byte of a response may be lost.
// If a connection is closed with unread input, the kernel resets it, and the client loses the part that it has not
// read.
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { createLingeringCloses } from "../../../../../src/serve/http/wire/lingering-close.ts";
import {
  type Acceptor,
  type AcceptorParts,
  type HttpServer,
  startServer,
} from "../../../../../src/serve/http/wire/server.ts";
import { eventually, within } from "../../../../helpers/program.ts";

const MEGABYTE = 1_000_000;
const OFFER = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"];
const lines = (...fields: readonly string[]) => [...fields, "", ""].join("\r\n");
const get = (path: string, ...fields: readonly string[]) => lines(`GET ${path} HTTP/1.1`, "Host: a.example", ...fields);
const post = (path: string, body: string, ...fields: readonly string[]) =>
  lines(`POST ${path} HTTP/1.1`, "Host: a.example", `Content-Length: ${body.length}`, ...fields) + body;
const ahead = (bytes = MEGABYTE) => "x".repeat(bytes);

const open: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

interface Served extends HttpServer {
  /** The method, path and number of body bytes of each request. */
  readonly begun: string[];
  release(): void;
}

/** Gives each connection to node's server with its first input. */
const handOverAtOnce = ({ handOver }: AcceptorParts): Acceptor => ({
  accept: (socket) => void socket.once("data", (bytes: Buffer) => handOver(socket, bytes)).once("error", () => {}),
  retire() {},
  closeIdle() {},
  closeAll() {},
});

/** `/20000` is answered with so many bytes, `/held/20000` when released, `/early/9` before the body arrives. */
async function serve({ hasAcceptor = true } = {}): Promise<Served> {
  const begun: string[] = [];
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const { url = "", method } = request;
    let bytes = 0;
    if (!url.startsWith("/early/")) for await (const chunk of request) bytes += (chunk as Buffer).byteLength;
    else request.resume();
    begun.push(`${method} ${url} ${bytes}`);
    if (url.startsWith("/held/")) await released;
    const size = Number(url.slice(url.lastIndexOf("/") + 1));
    response.writeHead(200, { "Content-Length": size });
    response.end(Buffer.alloc(size, "a"));
  };
  const server = await startServer({
    host: "127.0.0.1",
    port: 0,
    nextRequestId: () => "id",
    listener: (request, response) => void answer(request, response).catch(() => response.destroy()),
    ...(hasAcceptor && { accept: handOverAtOnce }),
  });
  open.push(() => server.stop(0));
  return { ...server, begun, release };
}

interface Client extends Socket {
  received: string;
  failure: string | undefined;
}

/** A client that does not read until the test says so. */
function client({ port }: HttpServer): Client {
  const socket: Client = Object.assign(connect({ port, host: "127.0.0.1", noDelay: true }), {
    received: "",
    failure: undefined,
  });
  socket.on("error", (error: NodeJS.ErrnoException) => {
    socket.failure = error.code;
  });
  socket.on("data", (bytes: Buffer) => {
    socket.received += bytes.toString("latin1");
  });
  socket.pause();
  open.push(() => void socket.destroy());
  return socket;
}

/** Acts as a client that slowly sends everything before it reads. */
async function sendAll(socket: Client, bytes: string): Promise<void> {
  await within(
    new Promise<void>((resolve) => socket.write(bytes, "latin1", () => resolve())),
    5_000,
    () => "the server does not read",
  );
  // By now a faulty server has made its mistake.
  await delay(200);
}

async function readAll(socket: Client): Promise<readonly string[]> {
  socket.resume();
  await within(once(socket, "close"), 8_000, () => `the connection was not closed: ${socket.received.slice(-200)}`);
  expect(socket.failure).toBeUndefined();
  return answersIn(socket.received);
}

/** The status and the number of body bytes of each response; all must be whole. */
function answersIn(received: string): readonly string[] {
  const answers: string[] = [];
  let rest = received;
  while (rest !== "") {
    const bodyAt = rest.indexOf("\r\n\r\n") + 4;
    const head = rest.slice(0, bodyAt);
    const status = /^HTTP\/1\.1 (\d+) /.exec(head)?.[1];
    const length = /^Content-Length: (\d+)\r$/m.exec(head)?.[1];
    const body = rest.slice(bodyAt, bodyAt + Number(length));
    answers.push(`${status} ${body.length}${body.length === Number(length) ? "" : ` of ${length}`}`);
    rest = rest.slice(bodyAt + body.length);
  }
  return answers;
}

const statuses = (answers: readonly string[]) => answers.map((answer) => answer.slice(0, 3));

describe.each([
  ["behind an acceptor", true],
  ["without an acceptor", false],
])("startServer() %s", (_where, hasAcceptor) => {
  test.each([
    ["websocket", ["Connection: Upgrade", "Upgrade: websocket"]],
    ["h2c, as Java's client does", OFFER],
    ["two at once", ["Connection: keep-alive", "Upgrade: h2c", "Connection: upgrade", "Upgrade: websocket"]],
  ])("ignores an offer to upgrade, and answers the requests after it: %s", async (_what, offer) => {
    const server = await serve({ hasAcceptor });
    const socket = client(server);
    const many = Array.from({ length: 200 }, () => get("/1000", ...offer));
    await sendAll(
      socket,
      get("/20000", ...offer) +
        post("/20000", ahead(), ...offer) +
        post("/1000000", "", ...offer) +
        get("/7") +
        many.join("") +
        get("/8", "Connection: close"),
    );
    expect(await readAll(socket)).toEqual([
      "200 20000",
      "200 20000",
      "200 1000000",
      "200 7",
      ...many.map(() => "200 1000"),
      "200 8",
    ]);
    expect(server.begun.slice(0, 3)).toEqual(["GET /20000 0", "POST /20000 1000000", "POST /1000000 0"]);
  });

  test("answers a chunked upload that offers an upgrade and arrives in pieces", async () => {
    const server = await serve({ hasAcceptor });
    const socket = client(server);
    socket.resume();
    const request = lines("POST /9 HTTP/1.1", "Host:a.example", "Transfer-Encoding: chunked", ...OFFER);
    for (const piece of [request.slice(0, 40), `${request.slice(40)}5\r\nab`, "cde\r\n0\r", "\n\r\n"]) {
      socket.write(piece);
      await delay(20);
    }
    await eventually(() => socket.received.endsWith("a".repeat(9)), "it is answered");
    expect(server.begun).toEqual(["POST /9 5"]);
  });

  test("completes a running response when an offer to upgrade arrives after it", async () => {
    const server = await serve({ hasAcceptor });
    const socket = client(server);
    // More than the kernel buffers, so the response waits for the client.
    await sendAll(socket, post("/16000000", "") + get("/20000", ...OFFER) + post("/9", ahead(), "Connection: close"));
    expect(await readAll(socket)).toEqual(["200 16000000", "200 20000", "200 9"]);
  });

  test.each([20_000, MEGABYTE])(
    "loses no byte of a last response, whatever the client sends after it: %i bytes",
    async (size) => {
      const server = await serve({ hasAcceptor });
      for (const bytes of [
        get(`/${size}`, "Connection: close") + get("/1").repeat(20_000),
        get(`/${size}`, "Connection: close") + ahead(),
        `GET /${size} HTTP/1.0\r\n\r\n${ahead()}`,
        `POST /early/${size} HTTP/1.0\r\nContent-Length: 1000000\r\n\r\n${ahead()}`,
        post(`/early/${size}`, ahead(), "Connection: close") + ahead(),
      ]) {
        const socket = client(server);
        await sendAll(socket, bytes);
        expect(await readAll(socket)).toEqual([`200 ${size}`]);
      }
    },
  );

  test.each([
    ["no HTTP", `${ahead()}\r\n\r\n`, ["400"]],
    ["a second Content-Length", post("/9", ahead(), "Content-Length: 3"), ["400"]],
    ["a head that is too large", get("/9", `X-A: ${ahead()}`), ["431"]],
    ["CONNECT", lines("CONNECT a.example:443 HTTP/1.1", "Host: a.example:443") + ahead(), ["405"]],
    ["an unknown coding", lines("POST /9 HTTP/1.1", "Host: a", "Transfer-Encoding: gzip") + ahead(), ["400"]],
    ["an unknown Expect", post("/9", ahead(), "Expect: tea"), ["400"]],
    ["a broken body", `${lines("POST /9 HTTP/1.1", "Host: a", "Transfer-Encoding: chunked")}${ahead()}`, ["400"]],
    ["a preface of HTTP/2", `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${ahead()}`, ["400"]],
  ])("loses no refusal of pipelined input, alone and after a large response: %s", async (_what, bytes, expected) => {
    const server = await serve({ hasAcceptor });
    const alone = client(server);
    await sendAll(alone, bytes);
    expect(statuses(await readAll(alone))).toEqual(expected);
    const behind = client(server);
    await sendAll(behind, post("/16000000", "") + bytes);
    expect(statuses(await readAll(behind))).toEqual(["200", ...expected]);
  });

  test("keeps a response whose request body turns out broken afterwards", async () => {
    const server = await serve({ hasAcceptor });
    const socket = client(server);
    await sendAll(socket, lines("POST /early/1000000 HTTP/1.1", "Host: a", "Transfer-Encoding: chunked"));
    await sendAll(socket, `no size\r\n${ahead()}`);
    expect(await readAll(socket)).toEqual(["200 1000000"]);
  });

  test("stop() lets clients read their responses, and ignores later input", async () => {
    const server = await serve({ hasAcceptor });
    const socket = client(server);
    await sendAll(socket, post("/held/1000000", "") + get("/1").repeat(20_000));
    const stopped = server.stop(8_000);
    server.release();
    await delay(400);
    expect(await readAll(socket)).toEqual(["200 1000000"]);
    await within(stopped, 2_000, () => "it did not stop");
  });

  test.each([
    ["with a last answer", () => get("/16000000", "Connection: close")],
    ["with the refusal of what is behind its answer", () => `${post("/16000000", "")}nothing\r\n\r\n`],
  ])("stop() waits no longer than its grace for a client that reads nothing and is left %s", async (_what, bytes) => {
    const server = await serve({ hasAcceptor });
    const socket = connect({ port: server.port, host: "127.0.0.1" });
    open.push(() => void socket.destroy());
    socket.pause();
    socket.on("error", () => {}); // The stop resets it.
    socket.write(bytes());
    await eventually(() => server.begun.length === 1, "it is asked");
    await delay(100);
    await within(server.stop(500), 2_000, () => "it did not stop");
  });

  test.each([
    ["a CONNECT that was refused", lines("CONNECT a.example:443 HTTP/1.1", "Host: a.example")],
    ["an offer that was passed over", get("/20000", "Connection: Upgrade, close", "Upgrade: h2c")],
    ["a broken request", "nothing\r\n\r\n"],
    ["a last answer", get("/20000", "Connection: close")],
  ])("stop() waits no longer than its grace for a client that keeps sending after %s", async (_what, bytes) => {
    const server = await serve({ hasAcceptor });
    const socket = connect({ port: server.port, host: "127.0.0.1" });
    socket.on("error", () => {}); // The stop resets it.
    socket.write(bytes);
    const sending = setInterval(() => socket.write("x"), 20);
    open.push(() => {
      clearInterval(sending);
      socket.destroy();
    });
    await delay(150);
    await within(server.stop(500), 2_000, () => "it did not stop");
  });
});

test("LingeringCloses.end() leaves the event loop free if something pauses the socket whenever it resumes", async () => {
  let pauses = 0;
  const listening = createServer({ pauseOnConnect: true }).listen(0, "127.0.0.1");
  open.push(() => void listening.close());
  await once(listening, "listening");
  const client = connect((listening.address() as AddressInfo).port, "127.0.0.1");
  open.push(() => void client.destroy());
  const [socket] = (await once(listening, "connection")) as [Socket];
  open.push(() => void socket.destroy());
  // It gives up after 1,000 times, or a fault would hang this test.
  socket.on("resume", () => {
    pauses += 1;
    if (pauses < 1_000) socket.pause();
  });
  createLingeringCloses().end(socket);
  await new Promise(setImmediate);
  expect(pauses).toBeLessThan(10);
});

// The listening socket itself. Responses are tested with the whole program.
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout as delay, setImmediate as turn } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createFastPath } from "../../../../../src/serve/http/wire/fast-path/fast-path.ts";
import { createLingeringCloses } from "../../../../../src/serve/http/wire/lingering-close.ts";
import { createPipelining } from "../../../../../src/serve/http/wire/pipelining.ts";
import { startServer } from "../../../../../src/serve/http/wire/server.ts";
import { type FastPathLab, startFastPathLab } from "../../../../helpers/fast-path-lab.ts";
import { within } from "../../../../helpers/program.ts";

const BURST = 1_000;
const SOCKETS = "/proc/net/tcp";
const KERNEL_BOUND = "/proc/sys/net/core/somaxconn";
const isTold = existsSync(SOCKETS) && existsSync(KERNEL_BOUND) && Number(readFileSync(KERNEL_BOUND, "latin1")) >= BURST;

/**
 * The number of connections that the kernel has accepted and the program has not: the receive queue of a listening
 * socket.
 */
function waitingAt(port: number): number {
  const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const listening = readFileSync(SOCKETS, "latin1")
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .find(([, address, , state]) => address === local && state === "0A");
  return Number.parseInt(listening?.[4]?.split(":")[1] ?? "", 16);
}

// Beyond the backlog the kernel drops a connection's first packet, and the client retries after 1, 3 and 7 s.
test.runIf(isTold)(`startServer() has room for ${BURST} clients that connect at once`, async () => {
  const server = await startServer({ host: "127.0.0.1", port: 0, listener: () => {}, nextRequestId: () => "test" });
  const clients = Array.from({ length: BURST }, () => connect(server.port, "127.0.0.1"));
  try {
    // The connects happen in earlier callbacks of this kind, and accepting happens after this turn of the event loop.
    await new Promise<void>((resolve) => process.nextTick(resolve));
    expect(waitingAt(server.port)).toBe(BURST);
    await Promise.all(clients.map((client) => once(client, "connect")));
  } finally {
    for (const client of clients) client.destroy();
    await server.stop(0);
  }
});

/** Serves every request without the fast path; `bodies` receives the body of each. */
function serveBodies(bodies: string[]) {
  return startServer({
    host: "127.0.0.1",
    port: 0,
    nextRequestId: () => "test",
    listener: async (request, response) => {
      let body = "";
      for await (const bytes of request) body += bytes.toString("latin1");
      bodies.push(body);
      response.end("ok");
    },
  });
}

// Bytes beyond ASCII in text that looks like a request line, a last chunk, and the end of a head.
const BODY = "GET /\xe5\x9b\xbe HTTP/1.1\r\n\r\n0\r\n\r\n\xe5\r\n\r\n\n0\r\n\xe9\r\n\r\n";

test.each([
  ["of known length", 3, `Content-Length: ${BODY.length}\r\n\r\n${BODY}`],
  // A chunked request is the last of its connection, and what follows it is no request.
  ["in one chunk", 1, `Transfer-Encoding: chunked\r\n\r\n${BODY.length.toString(16)}\r\n${BODY}\r\n0\r\n\r\n`],
  [
    "in a chunk each byte",
    1,
    `Transfer-Encoding: \tChunked \r\n\r\n${[...BODY].map((byte) => `1\r\n${byte}\r\n`).join("")}0\r\n\r\n`,
  ],
])("startServer() changes nothing of a body %s, wherever it is cut", async (_what, answered, rest) => {
  const bodies: string[] = [];
  const server = await serveBodies(bodies);
  const bytes = `POST /\xe9 HTTP/1.1\r\nHost: a.example\r\n${rest}`;
  const last = "GET /\xe9 HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n";
  try {
    for (let at = 1; at < bytes.length; at += 3) {
      const answers = await sendPieces(server.port, [bytes.slice(0, at), bytes.slice(at) + bytes, last]);
      expect(answers.match(/HTTP\/1\.1 \d+/g)).toEqual(Array(answered).fill("HTTP/1.1 200"));
      expect(answers).toMatch(/^Connection: close\r$/m);
      expect(bodies.splice(0)).toEqual([BODY, BODY, ""].slice(0, answered));
    }
  } finally {
    await server.stop(0);
  }
});

/** All output of the server until it closes. */
async function sendPieces(port: number, pieces: readonly string[]): Promise<string> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  let received = "";
  socket.on("data", (bytes: Buffer) => {
    received += bytes.toString("latin1");
  });
  socket.on("error", () => {}); // `close` follows
  const closed = once(socket, "close");
  for (const piece of pieces) {
    if (socket.destroyed) break;
    socket.write(piece, "latin1");
    await turn();
    await turn();
  }
  await within(closed, 5_000, () => `the connection did not close behind ${received}`);
  return received;
}

test.each([
  ["a no-break space before it", "\xa0chunked"],
  ["a no-break space behind it", "chunked\xa0"],
  ["a no-break space and blanks", " chunked \xa0 "],
])("startServer() refuses a transfer coding with %s", async (_what, coding) => {
  const server = await serveBodies([]);
  const bytes = `POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: ${coding}\r\n\r\n0\r\n\r\n`;
  try {
    expect(await sendPieces(server.port, [bytes])).toMatch(/^HTTP\/1\.1 400 .*\r\n\r\n\{"code":-103,.*\}\n$/s);
  } finally {
    await server.stop(0);
  }
});

test.each([
  ["a header without a colon", "HEAD /a HTTP/1.1\r\nHost: a.example\r\nno header\r\n\r\n", 400],
  ["a foreign coding", "HEAD /a HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: gzip\r\n\r\n", 400],
  ["an expectation", "HEAD /a HTTP/1.1\r\nHost: a.example\r\nExpect: tea\r\n\r\n", 400],
  ["HTTP/2.0", "HEAD /a HTTP/2.0\r\nHost: a.example\r\n\r\n", 400],
  ["a call with two lengths", "HEAD /photos/v2/1 HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400],
  ["a large head", `HEAD /a HTTP/1.1\r\nHost: a.example\r\nX: ${"x".repeat(20_000)}\r\n\r\n`, 431],
])("startServer() refuses a HEAD with %s without a body, however the request is cut", async (_what, bytes, status) => {
  const server = await serveBodies([]);
  const ask = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
  try {
    for (const pieces of [[bytes], ["\r\n", bytes], [bytes.slice(0, 3), bytes.slice(3, 20), bytes.slice(20)]]) {
      const answer = await sendPieces(server.port, pieces);
      expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} .*\r\nContent-Length: [1-9].*\r\n\r\n$`, "s"));
    }
    const behind = await sendPieces(server.port, [ask + bytes]);
    expect(behind).toMatch(new RegExp(`\r\n\r\nokHTTP/1\\.1 ${status} [^{}]*\r\n\r\n$`));
  } finally {
    await server.stop(0);
  }
});

test.each([
  ["HEAD", ["HEAD /a HTTP/1.1\r\nHost: a.ex"], false],
  ["HEAD in the middle of its line", ["\r\nHE", "AD /a"], false],
  ["HEAD of a call", ["HEAD /photos/v2/1 HTTP/1.1\r\n"], false],
  ["GET", ["GET /a HTTP/1.1\r\nHost: a.ex"], true],
  ["GET of a call", ["GET /photos/v2/1 HTTP/1.1\r\n"], true],
  ["method that has not come whole", ["HEA"], true],
  ["request that has not begun", [], true],
])("startServer() answers 408 to a late %s", { concurrent: true }, async (_what, pieces, hasBody) => {
  const options = { host: "127.0.0.1", port: 0, listener: () => {}, nextRequestId: () => "test", headMs: 200 };
  const server = await startServer(options);
  try {
    const answer = await sendPieces(server.port, pieces);
    expect(answer).toMatch(/^HTTP\/1\.1 408 .*\r\nX-ErrNo: -103\r\n.*\r\nContent-Length: [1-9]/s);
    expect(answer).toMatch(hasBody ? /\r\n\r\n\{"code":-103,.*\}\n$/ : /\r\n\r\n$/);
  } finally {
    await server.stop(0);
  }
});

test.each([
  ["with the fast path", createFastPath({ takes: () => true, listener: () => {} })],
  ["without it", undefined],
])("startServer() counts the time for a head from the connection %s", { concurrent: true }, async (_what, accept) => {
  let refusals = 0;
  const nextRequestId = () => `refusal-${++refusals}`;
  const server = await startServer({
    ...{ host: "127.0.0.1", port: 0, listener: () => {}, nextRequestId, headMs: 2_000 },
    ...(accept && { accept }),
  });
  try {
    const slow = converse(server.port);
    await slow.connected;
    // The client's own delay: half of the time for the head.
    await delay(1_000);
    const control = converse(server.port);
    await control.connected;
    control.socket.write("GET /control HTTP/1.1\r\n");
    await delay(20);
    slow.socket.write("GET /slow HTTP/1.1\r\n");
    expect(await slow.answer).toMatch(/^HTTP\/1\.1 408 .*\r\nX-Request-Id: refusal-1\r\n/s);
    expect(await control.answer).toMatch(/^HTTP\/1\.1 408 .*\r\nX-Request-Id: refusal-2\r\n/s);
  } finally {
    await server.stop(0);
  }
});

/** A connection, and all that comes on it until it closes. */
function converse(port: number) {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  let received = "";
  socket.on("data", (bytes: Buffer) => {
    received += bytes.toString("latin1");
  });
  const closed = within(once(socket, "close"), 8_000, () => `the connection did not close behind ${received}`);
  return { socket, connected: once(socket, "connect"), answer: closed.then(() => received) };
}

const OFFER = "Host: a.example\r\nUpgrade: websocket\r\n";
const AFTER_OFFERS: readonly [string, readonly string[], RegExp][] = [
  ["no request line", [`GET /a HTTP/1.1\r\n${OFFER}Connection: keep-alive, Upgrade\r\n\r\n`, "no request"], /400/],
  ["TLS", [`GET /a HTTP/1.1\r\n${OFFER}Connection: Upgrade\r\n\r\n`, "\x16\x03\x01\x02"], /400/],
  ["a byte", [`GET /a HTTP/1.1\r\n${OFFER}Connection: keep-alive, Upgrade\r\n\r\n\0`], /400/],
  [
    "a header without a colon, and a request",
    [
      `GET /a HTTP/1.1\r\n${OFFER}Connection: keep-alive, Upgrade\r\n\r\n`,
      `GET /a HTTP/1.1\r\n${OFFER}Connection: Upgrade\r\nno header\r\n\r\n`,
      "GET /b HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ],
    /400/,
  ],
  [
    "a body and no request line",
    [`POST /a HTTP/1.1\r\n${OFFER}Connection: Upgrade\r\nContent-Length: 2\r\n\r\nhi`, "\x01\x02"],
    /400/,
  ],
  // Its response has gone out, so the connection just closes.
  [
    "no chunk",
    [`POST /a HTTP/1.1\r\n${OFFER}Connection: Upgrade\r\nTransfer-Encoding: chunked\r\n\r\n`, "ZZ\r\n"],
    /^$/,
  ],
];

// nginx answers the same: 200, then 400 with `Connection: close`.
describe.each([
  ["with the fast path", (lab: FastPathLab) => lab.fast],
  ["without it", (lab: FastPathLab) => lab.plain],
])("startServer() %s", (_what, portOf) => {
  let lab: FastPathLab;
  beforeAll(async () => {
    lab = await startFastPathLab((_request, response) => {
      response.writeHead(200, ["Content-Length", "2"]);
      response.end(Buffer.from("ok"));
    });
  });
  afterAll(() => lab.stop());

  test.each(AFTER_OFFERS)("refuses what is no request after an offer to upgrade: %s", async (_what, pieces, status) => {
    const answers = await sendPieces(portOf(lab), pieces);
    expect(answers).toMatch(/^HTTP\/1\.1 200 .*\r\n\r\nok/s);
    expect(answers.slice(answers.indexOf("ok") + 2)).toMatch(status);
    expect(answers.match(/HTTP\/1\.1 \d+/g)?.length).toBe(status.test("") ? 1 : 2);
  });

  test("answers requests after an offer to upgrade", async () => {
    const offer = `GET /a HTTP/1.1\r\n${OFFER}Connection: keep-alive, Upgrade\r\n\r\n`;
    const upload = `POST /a HTTP/1.1\r\n${OFFER}Connection: Upgrade\r\nContent-Length: 2\r\n\r\nhi`;
    const last = "GET /b HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n";
    const bytes = offer + upload + offer + last;
    for (const pieces of [[bytes], [offer, upload, offer, last], bytes.match(/.{1,7}/gs) ?? []]) {
      const answers = await sendPieces(portOf(lab), pieces);
      expect(answers.match(/HTTP\/1\.1 \d+/g)).toEqual(Array(4).fill("HTTP/1.1 200"));
    }
  });

  test.each([
    ["1.0", "Connection: keep-alive, close"],
    ["1.0", "Connection: close, keep-alive"],
    ["1.0", "Connection: Keep-Alive\t,\tCLOSE"],
    ["1.0", "Connection: keep-alive\r\nConnection: close"],
    ["1.0", "Connection: close\r\nConnection: keep-alive"],
    ["1.1", "Connection: keep-alive, close"],
  ])("closes after an HTTP/%s request with %j", async (version, header) => {
    const request = `GET /a HTTP/${version}\r\nHost: a.example\r\n${header}\r\n\r\n`;
    expect(await sendPieces(portOf(lab), [request, request])).toMatch(
      /^HTTP\/1\.1 200 OK\r\n(?:(?!Connection: keep-alive).)*Connection: close\r\n(?:(?!HTTP).)*ok$/s,
    );
  });
});

test("end() leaves a connection to node whose response could not be written", async () => {
  const listener = createServer({ pauseOnConnect: true }).listen(0, "127.0.0.1");
  await once(listener, "listening");
  const accepted = once(listener, "connection");
  const client = connect((listener.address() as AddressInfo).port, "127.0.0.1");
  const [socket] = (await accepted) as [Socket];
  socket.on("error", () => undefined); // `close` follows
  let resumed = 0;
  socket.on("resume", () => {
    resumed += 1;
  });
  client.resetAndDestroy();
  await once(client, "close");
  const closed = new Promise((resolve) => socket.once("close", resolve));
  createPipelining(socket).refuse(() => {
    socket.write("a response");
    expect(socket.errored).not.toBeNull();
    createLingeringCloses().end(socket);
  });
  await closed;
  listener.close();
  expect(resumed).toBe(0);
});

// Many connections send one body with room for a head at once; some do not read for a while, some leave early.
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { lendRoom, returnRoom, withHeadRoom } from "../../../../../../src/serve/body/head-room.ts";
import { createFastPath } from "../../../../../../src/serve/http/wire/fast-path/fast-path.ts";
import { type HttpServer, startServer } from "../../../../../../src/serve/http/wire/server.ts";
import { eventually, within } from "../../../../../helpers/program.ts";

const BODY = withHeadRoom(Buffer.alloc(150_000, "0123456789abcdef"));
const TEXT = BODY.toString("latin1");

const open: { readonly stop: () => Promise<void> | void }[] = [];
afterEach(async () => {
  for (const { stop } of open.splice(0)) await stop();
});

/** The requested paths. */
const asked = new Set<string>();

/** Every response has its own head, with its own length. */
async function serve(): Promise<HttpServer> {
  const server = await startServer({
    host: "127.0.0.1",
    port: 0,
    idleMs: 60_000,
    nextRequestId: () => "id",
    listener: () => expect.unreachable("a plain request left the fast path"),
    accept: createFastPath({
      takes: () => true,
      listener: ({ url = "" }, response) => {
        asked.add(url);
        response.writeHead(200, ["Content-Length", String(BODY.length), "X-Asked", url]);
        response.end(BODY);
      },
    }),
  });
  open.push({ stop: () => server.stop(0) });
  return server;
}

async function client(server: HttpServer): Promise<Socket> {
  const socket = connect(server.port, "127.0.0.1");
  socket.on("error", () => {}); // `close` follows
  open.push({ stop: () => void socket.destroy() });
  await once(socket, "connect");
  return socket;
}

function ask(socket: Socket, path: string, method = "GET"): void {
  socket.write(`${method} ${path} HTTP/1.1\r\nHost: a.example\r\n\r\n`);
}

/** Sends requests without reading until a response stops because the kernel takes no more. Returns the paths. */
async function askUntilFull(socket: Socket, name: string): Promise<string[]> {
  socket.pause();
  const paths: string[] = [];
  for (let isTaken = true; isTaken; ) {
    const path = `/${name}${"x".repeat(paths.length % 40)}/${paths.length}`;
    ask(socket, path);
    paths.push(path);
    const deadline = performance.now() + 300;
    while (!asked.has(path) && performance.now() < deadline) await turn();
    isTaken = asked.has(path);
  }
  return paths;
}

/** Reads until there are so many responses. Returns the path of each one that is whole and right. */
async function answers(socket: Socket, count: number): Promise<string[]> {
  let received = "";
  const told: string[] = [];
  const all = new Promise<void>((resolve, reject) =>
    socket.on("data", (bytes: Buffer) => {
      received += bytes.toString("latin1");
      for (let bodyAt = received.indexOf("\r\n\r\n") + 4; ; bodyAt = received.indexOf("\r\n\r\n") + 4) {
        if (bodyAt === 3 || received.length < bodyAt + TEXT.length) break;
        const asked = /^HTTP\/1\.1 200 OK\r\nContent-Length: 150000\r\nX-Asked: (\S+)\r\n/.exec(received)?.[1];
        const isRight = asked !== undefined && received.slice(bodyAt, bodyAt + TEXT.length) === TEXT;
        if (!isRight) reject(new Error(`not an answer: ${received.slice(0, 300)}`));
        told.push(asked ?? "");
        received = received.slice(bodyAt + TEXT.length);
      }
      if (told.length >= count) resolve();
    }),
  );
  socket.resume();
  await within(all, 20_000, () => `${told.length} answers of ${count}`);
  return told;
}

test("each response has its own head, even while other clients wait for the same body", async () => {
  const server = await serve();
  const slow = await Promise.all(Array.from({ length: 6 }, () => client(server)));
  const wanted = await Promise.all(slow.map((socket, index) => askUntilFull(socket, `slow-${index}`)));
  expect(lendRoom(BODY, "")).toBeUndefined();
  const quick = await client(server);
  for (let index = 0; index < 50; index += 1) {
    ask(quick, `/quick/${index}`);
    expect(await answers(quick, 1)).toEqual([`/quick/${index}`]);
    quick.removeAllListeners("data");
  }
  const read = await Promise.all(slow.map((socket, index) => answers(socket, wanted[index]?.length ?? 0)));
  expect(read).toEqual(wanted);
  expect(lendRoom(BODY, "")?.equals(BODY)).toBe(true);
  returnRoom(BODY);
});

test("a client that leaves early returns the room, and a response without a body does not take it", async () => {
  const server = await serve();
  const leaver = await client(server);
  await askUntilFull(leaver, "leaver");
  const other = await client(server);
  ask(other, "/head", "HEAD");
  await once(other, "data");
  expect(lendRoom(BODY, "")).toBeUndefined();
  leaver.resetAndDestroy();
  await eventually(async () => lendRoom(BODY, "") !== undefined, "the room is back");
  returnRoom(BODY);
});

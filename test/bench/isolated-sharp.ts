// A lower bound for thumbnails from an isolated process: bare-sharp.ts, but a separate process renders one image at a
// time, as in Huiyuan. The difference to bare-sharp.ts is the cost of isolation alone. Argument: the photograph's path.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, readSync, writevSync } from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, Socket } from "node:net";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { readPath, written } from "./sharp-write.ts";

const [, , photographPath = "", role] = process.argv;
const SOCKET = 3;
const LENGTH_BYTES = 4;
// The flags with which Huiyuan starts its render processes.
const FLAGS = ["--single-threaded", "--max-semi-space-size=1", "--stack-trace-limit=0"];
const ENV = { ...process.env, MALLOC_ARENA_MAX: "2", UV_THREADPOOL_SIZE: "2" };

await (role === "render" ? render() : serve());

/** A request to the child is one path in one packet; the response is a length and the bytes. */
async function render(): Promise<void> {
  sharp.cache(false);
  sharp.concurrency(1);
  const photograph = readFileSync(photographPath);
  const order = Buffer.alloc(128);
  for (;;) {
    const length = readSync(SOCKET, order);
    if (length === 0) return;
    const target = readPath(order.toString("latin1", 0, length));
    const bytes = await written(sharp(photograph).resize(target.width), target);
    const head = Buffer.alloc(LENGTH_BYTES);
    head.writeUInt32BE(bytes.length);
    writevSync(SOCKET, [head, bytes]);
  }
}

async function serve(): Promise<void> {
  const args = [...process.execArgv, ...FLAGS, fileURLToPath(import.meta.url), photographPath, "render"];
  const child = spawn(process.execPath, args, { env: ENV, stdio: ["ignore", "inherit", "inherit", "pipe"] });
  const socket = child.stdio[SOCKET];
  if (!(socket instanceof Socket)) throw new Error("no socket to the render process");
  const line: { readonly path: string; readonly done: (bytes: Buffer) => void }[] = [];
  const next = () => line[0] !== undefined && socket.write(line[0].path);
  let arrived: Buffer = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    arrived = arrived.length === 0 ? chunk : Buffer.concat([arrived, chunk]);
    if (arrived.length < LENGTH_BYTES || arrived.length < LENGTH_BYTES + arrived.readUInt32BE()) return;
    const bytes = arrived.subarray(LENGTH_BYTES);
    arrived = Buffer.alloc(0);
    const order = line.shift();
    next();
    order?.done(bytes);
  });
  const server = createServer((request, response) => {
    const path = request.url ?? "";
    const done = (bytes: Buffer) => {
      response.writeHead(200, { "Content-Type": `image/${readPath(path).format}`, "Content-Length": bytes.length });
      response.end(bytes);
    };
    if (line.push({ path, done }) === 1) next();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  console.log((server.address() as AddressInfo).port); // a TCP server's address is never a string
}

// A lower bound for stored misses: Node alone, as a process of its own. It asks the origin with undici's dispatch,
// hashes SHA-256, answers once the body is in, and appends what came in the last 20 ms to one file with one writev and
// one fdatasync. No checks, no catalogue, no second request for a key. Arguments: the origin's port and the file.
import { createHash } from "node:crypto";
import { once } from "node:events";
import { open } from "node:fs/promises";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Client, Pool } from "undici";

const WRITE_MS = 20;
const [originPort = "", path = ""] = process.argv.slice(2);
const origin = new Pool(`http://127.0.0.1:${originPort}`, {
  connections: 64,
  factory: (place, options) => new Client(place, { ...options, headersTimeout: 0, bodyTimeout: 0 }),
});
const file = await open(path, "a");
let arrived: Buffer[] = [];
let isWriting = false;

async function write(): Promise<void> {
  if (isWriting || arrived.length === 0) return;
  isWriting = true;
  const bodies = arrived;
  arrived = [];
  await file.writev(bodies);
  await file.datasync();
  isWriting = false;
}

function fetchFor(url: string, response: ServerResponse): void {
  const chunks: Buffer[] = [];
  const hash = createHash("sha256");
  origin.dispatch(
    { path: url, method: "GET" },
    {
      onRequestStart() {},
      onResponseStart() {},
      onResponseData(_controller, chunk) {
        hash.update(chunk);
        chunks.push(chunk);
      },
      onResponseEnd() {
        const body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
        const head = ["Content-Type", "image/jpeg", "Content-Length", String(body.length)];
        response.writeHead(200, [...head, "ETag", `"${hash.digest("hex")}"`]);
        response.end(body);
        arrived.push(...chunks);
      },
      onResponseError: () => response.destroy(),
    },
  );
}

setInterval(write, WRITE_MS);
const server = createServer((request, response) => fetchFor(request.url ?? "/", response));
server.listen(0, "127.0.0.1");
await once(server, "listening");
console.log((server.address() as AddressInfo).port); // a TCP server's address is never a string

// A lower bound for thumbnails: sharp behind Node's http server, as a process of its own. It serves
// /<width>/<quality>/<format> of one photograph from memory, encoded as Huiyuan encodes it. No checks, no store, no
// further process. Argument: the photograph's path.
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import sharp from "sharp";
import { readPath, written } from "./sharp-write.ts";

sharp.cache(false);
sharp.concurrency(1);
const photograph = await readFile(process.argv[2] ?? "");

const server = createServer(async (request, response) => {
  const order = readPath(request.url);
  const bytes = await written(sharp(photograph).resize(order.width), order);
  response.writeHead(200, { "Content-Type": `image/${order.format}`, "Content-Length": bytes.length });
  response.end(bytes);
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
console.log((server.address() as AddressInfo).port); // a TCP server's address is never a string

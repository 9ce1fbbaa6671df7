// A lower bound for hits: Node's http server, as a process of its own, sends one picture from memory to every request.
// The difference to Huiyuan is Huiyuan's cost; the difference to nginx is the platform's. Argument: the picture's path.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { pictureOf } from "./pictures.ts";

const path = process.argv[2] ?? "";
const body = (await pictureOf(Number(path.split("/")[1]))).for(path);
const head = ["Content-Type", "image/jpeg", "Content-Length", String(body.length)];
const server = createServer((_request, response) => {
  response.writeHead(200, head);
  response.end(body);
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
console.log((server.address() as AddressInfo).port); // a TCP server's address is never a string

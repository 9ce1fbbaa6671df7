// The least that Node's own http server can do, as a process: one picture from memory, whatever is asked, no check and no
// look-up. What Huiyuan costs above this is Huiyuan; what this costs above nginx is the platform. Takes the picture's path.
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

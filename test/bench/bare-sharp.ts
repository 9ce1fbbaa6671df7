// The least that sharp behind Node's http server can do, as a process: /<width>/<quality>/<format> of one photograph from
// memory, written as Huiyuan writes it, with no check, no store and no other process. Takes the photograph's path.
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import sharp, { type Sharp } from "sharp";

sharp.cache(false);
sharp.concurrency(1);
const photograph = await readFile(process.argv[2] ?? "");

const WRITE = {
  jpeg: (image: Sharp, quality: number) => image.jpeg({ quality }),
  webp: (image: Sharp, quality: number) => image.webp({ quality, effort: 2 }),
  avif: (image: Sharp, quality: number) => image.avif({ quality, effort: 2 }),
};

const server = createServer(async (request, response) => {
  const [, width, quality, format = "jpeg"] = (request.url ?? "").split("/");
  const image = sharp(photograph).resize(Number(width));
  const bytes = await WRITE[format as keyof typeof WRITE](image, Number(quality)).toBuffer();
  response.writeHead(200, { "Content-Type": `image/${format}`, "Content-Length": bytes.length });
  response.end(bytes);
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
console.log((server.address() as AddressInfo).port); // a TCP server's address is never a string

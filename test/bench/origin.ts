// The bench's origin, a process of its own: serves each path the picture of that path at low cost. The first segment
// selects the behaviour: /<bytes>/…; /late/<bytes>/… (head after 100 ms); /slow/<bytes>/<seconds>/<name>/… (body in
// even pieces; one picture per name); /photograph/… (2000×1500 pixels); anything else (404). /asked returns the number
// of other requests. Prints its port, then serves until it is killed.
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { photograph } from "./photograph.ts";
import { marked, type Picture, pictureOf } from "./pictures.ts";

const LATE_MS = 100;
const PIECE_MS = 100;

const pictures = new Map<number | "photograph", Promise<Picture>>();
let asked = 0;

function picture(bytes: number | "photograph"): Promise<Picture> {
  const known = pictures.get(bytes) ?? (bytes === "photograph" ? photograph().then(marked) : pictureOf(bytes));
  pictures.set(bytes, known);
  return known;
}

const headOf = (bytes: number, type = "image/jpeg") =>
  `HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\nContent-Length: ${bytes}\r\n\r\n`;

async function answer(socket: Socket, path: string): Promise<void> {
  if (path === "/asked") {
    const text = String(asked);
    socket.write(headOf(text.length, "text/plain") + text);
    return;
  }
  asked += 1;
  const [first = "", second = "", third = "", name = ""] = path.slice(1).split("/");
  const size = first === "photograph" ? first : Number(first === "late" || first === "slow" ? second : first);
  if (size !== "photograph" && !(size > 0)) {
    socket.write("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    return;
  }
  if (first === "late") await delay(LATE_MS);
  const { bytes, headFor, rest } = await picture(size);
  socket.cork();
  socket.write(headOf(bytes));
  socket.write(headFor(first === "slow" ? `/slow/${second}/${third}/${name}` : path));
  if (first !== "slow") socket.write(rest);
  socket.uncork();
  if (first === "slow") await trickle(socket, rest, Number(third));
}

async function trickle(socket: Socket, bytes: Buffer, seconds: number): Promise<void> {
  const piece = Math.ceil(bytes.length / ((seconds * 1_000) / PIECE_MS));
  for (let at = 0; at < bytes.length && !socket.destroyed; at += piece) {
    await delay(PIECE_MS);
    if (!socket.write(bytes.subarray(at, at + piece)))
      await Promise.race([once(socket, "drain"), once(socket, "close")]);
  }
}

const server = createServer({ noDelay: true }, (socket) => {
  let pending = "";
  let isBusy = false;
  const next = async () => {
    if (isBusy) return;
    isBusy = true;
    for (let end = pending.indexOf("\r\n\r\n"); end >= 0; end = pending.indexOf("\r\n\r\n")) {
      // Without the query, which carries other servers' signatures.
      const path = /^\S+ ([^ ?]*)/.exec(pending)?.[1] ?? "/";
      pending = pending.slice(end + 4);
      await answer(socket, path);
    }
    isBusy = false;
  };
  socket.on("data", (bytes) => {
    pending += bytes.toString("latin1");
    void next();
  });
  socket.on("error", () => {}); // an origin ignores clients that disconnect
});

server.listen(0, "127.0.0.1");
await once(server, "listening");
console.log((server.address() as AddressInfo).port); // a TCP server's address is never a string

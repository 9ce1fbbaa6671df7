// The load of beside.ts: `miss-load.ts PORT RATE`. Requests so many new images of 20 KB a second, whether the answers
// come or not, until it is killed. Prints a line when it begins.
import { connect, type Socket } from "node:net";

const BYTES = 20_000;
/** So many wait for an answer at most, as from a CDN: a server that cannot keep up gets fewer. */
const MAX_OPEN = 256;

const [port, rate] = process.argv.slice(2).map(Number) as [number, number];
const free: Socket[] = [];
let open = 0;
let sent = 0;

function connected(): Socket {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  let left = 0;
  socket.on("data", (chunk: Buffer) => {
    if (left === 0) {
      const end = chunk.indexOf("\r\n\r\n");
      if (end < 0 || !chunk.toString("latin1", 0, 12).endsWith("200"))
        throw new Error(chunk.toString("latin1", 0, 200));
      left = BYTES + end + 4;
    }
    left -= chunk.length;
    if (left > 0) return;
    open -= 1;
    free.push(socket);
  });
  return socket;
}

const began = performance.now();
console.log("begins");
setInterval(() => {
  for (const due = ((performance.now() - began) * rate) / 1_000; sent < due; sent += 1) {
    if (open === MAX_OPEN) continue;
    open += 1;
    (free.pop() ?? connected()).write(
      `GET /${BYTES}/beside-${process.pid}-${sent}.jpg HTTP/1.1\r\nHost: any.example\r\n\r\n`,
    );
  }
}, 1);

// What a client still sends when it has been answered. Most send all of it before they read the answer, and would not see
// one whose connection is closed on them; so the rest is read away, within bounds.
import type { IncomingMessage } from "node:http";

/** Three times what may be uploaded: who sends a photograph as it is should see why it was refused. */
const MAX_BYTES = 67_108_864;
const MAX_MS = 60_000;

/** Reads the request to its end, and closes its connection there if it `isLast`. Whoever read it before has left. */
export function discardRest(request: IncomingMessage, isLast: boolean): void {
  if (request.complete || request.destroyed) {
    request.resume();
    return;
  }
  let bytes = 0;
  const giveUp = () => void request.socket.destroy();
  const timer = setTimeout(giveUp, MAX_MS);
  const settle = () => clearTimeout(timer);
  request.on("data", (chunk: Buffer) => {
    bytes += chunk.byteLength;
    if (bytes > MAX_BYTES) giveUp();
  });
  request.once("end", () => {
    settle();
    if (isLast) request.socket.end();
  });
  request.once("close", settle);
  // A client that leaves now has been answered, or has not waited.
  request.on("error", () => undefined);
  request.resume();
}

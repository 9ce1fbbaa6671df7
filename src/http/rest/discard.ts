// What a client still sends when it has been answered, where its connection goes on: the rest is read away, within bounds. Most
// send all of it before they read the answer. Connections that end are `endings.ts`'s affair.
import type { IncomingMessage } from "node:http";
import { MAX_READING_AWAY_MS, MAX_UNREAD_BYTES } from "../wire/lingering-close.ts";

/** Reads the request to its end. Whoever read it before has left. */
export function discardRest(request: IncomingMessage): void {
  if (request.complete || request.destroyed) {
    request.resume();
    return;
  }
  const { socket } = request;
  let bytes = 0;
  const giveUp = () => void socket.destroy();
  const timer = setTimeout(giveUp, MAX_READING_AWAY_MS);
  const settle = () => {
    clearTimeout(timer);
    socket.off("close", settle);
  };
  request.on("data", (chunk: Buffer) => {
    bytes += chunk.byteLength;
    if (bytes > MAX_UNREAD_BYTES) giveUp();
  });
  request.once("end", settle);
  // The request itself is not told once it is answered.
  socket.on("close", settle);
  // A client that leaves now has been answered, or has not waited.
  request.on("error", () => undefined);
  request.resume();
}

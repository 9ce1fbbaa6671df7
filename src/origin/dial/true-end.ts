// Tells the end of a connection from its reset. Where bytes and a reset are seen in one turn of the loop, libuv (uv__stream_io: POLLHUP
// behind a partial read) gives the bytes and then an end, and a close-delimited body that was cut passes for whole. The
// kernel still knows: writing nothing fails with ECONNRESET on a connection that was reset, and sends nothing on one that was ended.
import type { Socket } from "node:net";

const NOTHING = Buffer.alloc(0);

/** Makes `socket` fail with ECONNRESET in place of an `end` that is none. Plain TCP only: TLS has an end of its own. */
export function tellResets(socket: Socket): void {
  const emit: (event: string | symbol, ...args: unknown[]) => boolean = socket.emit;
  socket.emit = (event: string | symbol, ...args: unknown[]) => {
    // What is still being sent would have to go first, and may never go; only a request that was answered too soon is.
    if (event !== "end" || !socket.writable || socket.writableLength > 0) return emit.call(socket, event, ...args);
    socket.write(NOTHING, (error) => {
      // EPIPE: it was ended, and reset after that.
      if (error == null || !isReset(error)) emit.call(socket, event, ...args);
    });
    return true;
  };
}

const isReset = (error: Error) => "code" in error && error.code === "ECONNRESET";

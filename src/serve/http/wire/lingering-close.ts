// Closes a connection so that its last response arrives: the rest of the client's input is read and dropped, within
// bounds (RFC 9112 §9.6). If a socket is closed with unread input, the kernel resets the connection, and the client
// loses the part of the response that it has not read yet.
import type { Socket } from "node:net";

export interface LingeringCloses {
  /** Whether any connection is in its lingering close. */
  readonly isAny: boolean;
  /**
   * Begins the close: nothing more is written, and later input is no request. All `data` listeners are removed. The
   * socket closes if the client closes its side, stops sending, or exceeds a limit. A second call does nothing.
   */
  end(socket: Socket): void;
}

/** Three times the default upload limit, so that a client with a raw photograph still reads why it was refused. */
const MAX_UNREAD_BYTES = 67_108_864;
const MAX_DISCARD_MS = 60_000;
/** The socket closes after this time without input; nginx waits as long. Milliseconds. */
const QUIET_MS = 5_000;
const RESUME_MS = 10;

export function createLingeringCloses(): LingeringCloses {
  const ending = new WeakSet<Socket>();
  let left = 0;
  return {
    get isAny() {
      return left > 0;
    },
    end(socket) {
      // After a failed write the socket is about to be destroyed. Its end() would do nothing, so pipelining.ts would
      // pause it after each resume, and each pause would begin a timer, for ever.
      if (ending.has(socket) || socket.destroyed || socket.errored) return;
      ending.add(socket);
      left += 1;
      socket.once("close", () => {
        left -= 1;
      });
      discardInput(socket);
      socket.end();
    },
  };
}

function discardInput(socket: Socket): void {
  const until = performance.now() + MAX_DISCARD_MS;
  let bytes = 0;
  let quiet: NodeJS.Timeout | undefined;
  const wait = () => {
    quiet = setTimeout(() => socket.destroy(), QUIET_MS);
  };
  socket.removeAllListeners("data");
  socket.on("data", (chunk: Buffer) => {
    bytes += chunk.byteLength;
    if (bytes > MAX_UNREAD_BYTES || performance.now() > until) socket.destroy();
    else quiet?.refresh();
  });
  // A request with an unread body pauses the socket if the parser is still in the middle of a read. The resume is in a
  // later turn: node and pipelining.ts may pause a socket that resumes, and one turn would never end.
  socket.on("pause", () => setTimeout(() => socket.resume(), RESUME_MS).unref());
  socket.resume();
  // If node's parser has paused the handle, resume() alone does not start a read.
  socket._read(0);
  if (socket.writableFinished) wait();
  else socket.once("finish", wait);
  socket.once("close", () => clearTimeout(quiet));
}

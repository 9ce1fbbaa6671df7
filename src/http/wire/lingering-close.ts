// How a connection ends so that its last answer arrives: what the client still sends is read away, within bounds. Closed with
// bytes unread, or that come later, it would be reset, and the client lose what it has not read of the answer.
import type { Socket } from "node:net";

export interface LingeringCloses {
  /** Whether any connection is being ended. */
  readonly isAny: boolean;
  /**
   * Nothing more is written, and nothing that comes is a request any more: whoever reads the socket is taken off it. It closes
   * when the client has closed its side, or sends nothing, or too much. A second call does nothing.
   */
  end(socket: Socket): void;
}

/** Three times what may be uploaded: who sends a photograph as it is should see why it was refused. */
export const MAX_UNREAD_BYTES = 67_108_864;
export const MAX_READING_AWAY_MS = 60_000;
/** Without a byte; so long nginx waits. */
const QUIET_MS = 5_000;

export function createLingeringCloses(): LingeringCloses {
  const ending = new WeakSet<Socket>();
  let left = 0;
  return {
    get isAny() {
      return left > 0;
    },
    end(socket) {
      if (ending.has(socket) || socket.destroyed) return;
      ending.add(socket);
      left += 1;
      socket.once("close", () => {
        left -= 1;
      });
      readAway(socket);
      socket.end();
    },
  };
}

function readAway(socket: Socket): void {
  const until = performance.now() + MAX_READING_AWAY_MS;
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
  // By the request whose body nobody wants, where the parser is still in the middle of a read.
  socket.on("pause", () => socket.resume());
  socket.resume();
  // Where node's parser has paused it, resuming alone does not read.
  socket._read(0);
  if (socket.writableFinished) wait();
  else socket.once("finish", wait);
  socket.once("close", () => clearTimeout(quiet));
}

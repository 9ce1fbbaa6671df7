// Clients that upload over kept-alive raw sockets, as fast as responses arrive or slowly. They report the responses;
// the caller judges them.
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

export interface UploadAnswer {
  readonly status: number;
  /** The body, as long as its Content-Length, latin1. */
  readonly body: string;
  /** Milliseconds from the first byte of the request to the last of the response. */
  readonly ms: number;
}

/** Sends the body in even pieces over this many seconds, ten pieces per second. */
export interface Trickle {
  readonly seconds: number;
}

export interface UploadConnection {
  /** False if the server has closed the connection, or announced that it will. */
  readonly isOpen: boolean;
  /**
   * Sends one whole request; one at a time. Rejects if the connection ends before a whole response, which includes 60 s
   * without traffic.
   */
  send(request: readonly Buffer[], trickle?: Trickle): Promise<UploadAnswer>;
  close(): void;
}

const PIECE_MS = 100;
const PATIENCE_MS = 60_000;

export function openUploads(port: number): UploadConnection {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  let isLast = false;
  let received = "";
  let waiting: { resolve(answer: UploadAnswer): void; reject(error: Error): void; startedAt: number } | undefined;

  function settle(outcome: Omit<UploadAnswer, "ms"> | Error): void {
    const settled = waiting;
    waiting = undefined;
    received = "";
    socket.setTimeout(0);
    if (outcome instanceof Error) settled?.reject(outcome);
    else settled?.resolve({ ...outcome, ms: performance.now() - settled.startedAt });
  }

  socket.on("data", (chunk) => {
    received += chunk.toString("latin1");
    const end = received.indexOf("\r\n\r\n");
    if (end < 0) return;
    const head = received.slice(0, end);
    const body = received.slice(end + 4);
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? Number.NaN);
    if (body.length < length) return;
    isLast ||= /\r\nconnection: close/i.test(head);
    const status = Number(head.slice(9, 12));
    if (body.length === length && waiting !== undefined) settle({ status, body });
    else settle(new Error(`an answer without length, or more than was asked for: ${received.slice(0, 300)}`));
  });
  socket.on("error", () => {}); // `close` follows
  socket.on("timeout", () => socket.destroy());
  socket.on("close", () => settle(new Error(`the connection ended before a whole answer: ${received.slice(0, 300)}`)));

  return {
    get isOpen() {
      return !isLast && socket.writable;
    },
    send(request, trickle) {
      const answer = new Promise<UploadAnswer>((resolve, reject) => {
        waiting = { resolve, reject, startedAt: performance.now() };
      });
      socket.setTimeout(PATIENCE_MS);
      if (trickle !== undefined) void trickleTo(Buffer.concat(request), trickle);
      else {
        socket.cork();
        for (const piece of request) socket.write(piece);
        socket.uncork();
      }
      return answer;
    },
    close: () => void socket.destroy(),
  };

  /** Backpressure is ignored: unsent bytes are buffered, and the pace stays. */
  async function trickleTo(bytes: Buffer, { seconds }: Trickle): Promise<void> {
    const startedAt = performance.now();
    for (let at = 0; at < bytes.length && socket.writable; ) {
      await delay(PIECE_MS);
      if (socket.writableNeedDrain) continue;
      const due = ((performance.now() - startedAt) / (seconds * 1_000)) * bytes.length;
      const end = Math.min(bytes.length, Math.ceil(due));
      socket.write(bytes.subarray(at, end));
      at = end;
    }
  }
}

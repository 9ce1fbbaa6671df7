// Writes the answer to a request of the lane straight to its socket, in the same words as node's http server would:
// head and bytes in one system call, chunked where no length was said. It never waits; backpressure is the writer's.
import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { lendRoom, returnRoom } from "../../../body/head-room.ts";
import { type DownloadResponse, type Headers, headerLines, namesLength } from "../../response/response.ts";

export interface FastPathResponseOptions {
  readonly isHead: boolean;
  /** Ready-made last lines of every head: see `createHeadEnd`. */
  readonly headEnd: (isLast: boolean) => string;
  /** Whether the connection is to end behind an answer that begins now. */
  readonly isLast: () => boolean;
  /** The last byte has been handed to the kernel; called once, perhaps within `end`. */
  readonly finished: () => void;
}

/** One answer on a connection that is used again. A class because a hit would pay for a closure a method. */
export class FastPathResponse implements DownloadResponse {
  statusCode = 200;
  headersSent = false;
  /** The connection ends behind it, and the head says so. */
  isLast = false;
  readonly #socket: Socket;
  readonly #options: FastPathResponseOptions;
  /** Written with the first bytes. */
  #head = "";
  #hasBody = true;
  #isChunked = false;
  #isFinished = false;
  #onDrain: (() => void) | undefined;
  #onGone: (() => void) | undefined;
  #onOver: (() => void) | undefined;

  constructor(socket: Socket, options: FastPathResponseOptions) {
    this.#socket = socket;
    this.#options = options;
  }

  /** Of an answer that is out, false: the connection is the next one's. */
  get destroyed(): boolean {
    return !this.#isFinished && this.#socket.destroyed;
  }

  writeHead(status: number, ...headers: readonly Headers[]): void {
    let head = statusLine(status);
    let hasLength = false;
    for (const part of headers) {
      head += "list" in part ? part.text : headerLines(part);
      hasLength ||= "list" in part ? part.hasLength : namesLength(part);
    }
    this.isLast = this.#options.isLast();
    head += this.#options.headEnd(this.isLast);
    this.#hasBody = !this.#options.isHead && status !== 204 && status !== 304;
    this.#isChunked = this.#hasBody && !hasLength;
    this.#head = this.#isChunked ? `${head}Transfer-Encoding: chunked\r\n\r\n` : `${head}\r\n`;
    this.statusCode = status;
    this.headersSent = true;
  }

  write(bytes: Buffer): boolean {
    this.#send(bytes, false);
    return this.#socket.writable && this.#socket.writableLength < this.#socket.writableHighWaterMark;
  }

  end(bytes?: Buffer, taken?: () => void): void {
    const lender = bytes !== undefined && this.#sendWhole(bytes) ? bytes : undefined;
    if (lender === undefined) this.#send(bytes, true);
    if (this.#socket.writableLength === 0) this.#finish(lender, taken);
    // Called back when all before it has been taken, or never will be.
    else
      this.#socket.write("", "latin1", (error) => {
        if (!error) this.#finish(lender, taken);
        else if (lender !== undefined) returnRoom(lender);
      });
  }

  destroy(): void {
    if (!this.#isFinished) this.#socket.destroy();
  }

  onceDrained(listener: () => void): void {
    this.#onDrain = listener;
  }

  onceGone(listener: () => void): void {
    this.#onGone = listener;
  }

  onceOver(listener: () => void): void {
    if (this.#isFinished || this.#socket.destroyed) listener();
    else this.#onOver = listener;
  }

  /** The connection takes bytes again. */
  drained(): void {
    const listener = this.#onDrain;
    this.#onDrain = undefined;
    listener?.();
  }

  /** The connection has closed. */
  gone(): void {
    if (this.#isFinished) return;
    this.#onGone?.();
    this.#onOver?.();
  }

  /** Head and body in one piece; false where the body has no room for the head, or that has gone out. */
  #sendWhole(body: Buffer): boolean {
    if (this.#head === "" || !this.#hasBody || this.#isChunked || !this.#socket.writable) return false;
    const whole = lendRoom(body, this.#head);
    if (whole === undefined) return false;
    this.#head = "";
    this.#socket.write(whole);
    return true;
  }

  #send(bytes: Buffer | undefined, isLast: boolean): void {
    const socket = this.#socket;
    // A client that has closed its side, or is gone: `close` tells the writer.
    if (!socket.writable) return;
    socket.cork();
    if (this.#head !== "") socket.write(this.#head, "latin1");
    this.#head = "";
    if (bytes !== undefined && bytes.byteLength > 0 && this.#hasBody) {
      if (this.#isChunked) socket.write(`${bytes.byteLength.toString(16)}\r\n`, "latin1");
      socket.write(bytes);
      if (this.#isChunked) socket.write("\r\n", "latin1");
    }
    if (isLast && this.#isChunked) socket.write("0\r\n\r\n", "latin1");
    socket.uncork();
  }

  /** The kernel has copied every byte. */
  #finish(lender: Buffer | undefined, taken: (() => void) | undefined): void {
    this.#isFinished = true;
    if (lender !== undefined) returnRoom(lender);
    taken?.();
    this.#onOver?.();
    this.#options.finished();
  }
}

const statusLines = new Map<number, string>();

function statusLine(status: number): string {
  const known = statusLines.get(status);
  if (known !== undefined) return known;
  // An origin's own status may be any number; node's server says this of those that it does not know.
  const line = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "unknown"}\r\n`;
  statusLines.set(status, line);
  return line;
}

/** The lines that end every head, without the empty one: Date, made anew each second, and what keeps the connection. */
export function createHeadEnd(keepAliveMs: number): (isLast: boolean) => string {
  const keeping = `Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(keepAliveMs / 1_000)}\r\n`;
  let madeAt = Number.NaN;
  let date = "";
  let lines = "";
  return (isLast) => {
    const second = Math.floor(Date.now() / 1_000);
    if (second !== madeAt) {
      madeAt = second;
      date = `Date: ${new Date(second * 1_000).toUTCString()}\r\n`;
      lines = date + keeping;
    }
    return isLast ? `${date}Connection: close\r\n` : lines;
  };
}

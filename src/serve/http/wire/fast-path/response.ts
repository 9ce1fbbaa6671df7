// Writes the response to a fast-path request straight to its socket, with the same bytes as node's http server: head
// and body in one system call, chunked if no length is given. It never waits; backpressure is the caller's task.
import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { lendRoom, returnRoom } from "../../../body/head-room.ts";
import { type DownloadResponse, type Headers, headerLines, namesLength } from "../../request/download-response.ts";

export interface FastPathResponseOptions {
  readonly isHead: boolean;
  /** The last lines of every head: see `createHeadEnd`. */
  readonly headEnd: (isLast: boolean) => string;
  /** Whether a response that begins now ends the connection. */
  readonly isLast: () => boolean;
  /** Called once when the kernel has the last byte, perhaps within `end`. */
  readonly finished: () => void;
}

/** One response on a persistent connection. A class, because closures would cost a hit one allocation a method. */
export class FastPathResponse implements DownloadResponse {
  statusCode = 200;
  headersSent = false;
  /** This response ends the connection and says so in its head. */
  isLast = false;
  readonly #socket: Socket;
  readonly #options: FastPathResponseOptions;
  /** The head, until it is written with the first bytes. */
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

  /** False after the end of the response: the connection then belongs to the next one. */
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
    // The callback comes when all earlier output is written, or has failed.
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
    if (!this.#isFinished && this.#socket.destroyed) listener();
    else this.#onGone = listener;
  }

  onceOver(listener: () => void): void {
    if (this.#isFinished || this.#socket.destroyed) listener();
    else this.#onOver = listener;
  }

  /** Called by the fast path when the socket takes output again. */
  drained(): void {
    const listener = this.#onDrain;
    this.#onDrain = undefined;
    listener?.();
  }

  /** Called by the fast path when the connection has closed. */
  gone(): void {
    if (this.#isFinished) return;
    this.#onGone?.();
    this.#onOver?.();
  }

  /** Sends head and body in one buffer. False if the body has no room for the head, or the head has gone out. */
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
    // The client is gone; `close` reports it to the writer.
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

  /** Ends the response; the kernel has copied every byte. */
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
  // An origin's own status may be any number; node's server writes the same word for unknown ones.
  const line = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "unknown"}\r\n`;
  statusLines.set(status, line);
  return line;
}

/** Returns the last lines of every head without the empty one: Date, renewed each second, and Connection. */
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

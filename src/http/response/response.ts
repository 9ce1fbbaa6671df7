// What an answer is written to, whoever brought the request: node's http server (here) or the socket lane
// (lane/response.ts). Header blocks are built once and sent many times. It decides nothing about an answer.
import type { ServerResponse } from "node:http";
import { HuiyuanError } from "../../core/errors.ts";

/** Flat name, value, name, value … */
export type HeaderList = readonly string[];

/** Headers that are sent again and again: laid out and checked once. */
export interface HeaderBlock {
  readonly list: HeaderList;
  /** The lines as they go on the wire, each with its CRLF; one character a byte. */
  readonly text: string;
  /** Whether Content-Length is among them. */
  readonly hasLength: boolean;
}

export type Headers = HeaderList | HeaderBlock;

/** The answer to one request. Nothing can be written after `end` or `destroy`. */
export interface DownloadResponse {
  /** Of the head that was written; 200 before. */
  readonly statusCode: number;
  readonly headersSent: boolean;
  /** The connection is gone, or given up. */
  readonly destroyed: boolean;
  /** Goes out with the first bytes or the end. Without Content-Length a body is chunked. Throws internal on CR, LF or NUL. */
  writeHead(status: number, ...headers: readonly Headers[]): void;
  /** False: wait for `onceDrained` before the next. */
  write(bytes: Buffer): boolean;
  /** `taken`: called when no byte of the answer is looked at any more; perhaps within `end`, perhaps never. */
  end(bytes?: Buffer, taken?: () => void): void;
  /** Breaks the connection: the client sees that the body is not whole. */
  destroy(): void;
  /** Called once when more may be written; a later call replaces an earlier one. */
  onceDrained(listener: () => void): void;
  /** Called once if the connection closes before the answer has gone out. */
  onceGone(listener: () => void): void;
  /** Called once when the last byte is with the kernel, or the connection has closed before. */
  onceOver(listener: () => void): void;
}

const UNSENDABLE = /[^\t\x20-\x7e\x80-\xff]/;

export function flatHeaders(headers: readonly Headers[]): HeaderList {
  return headers.flatMap((part) => ("list" in part ? part.list : part));
}

export function headerBlock(list: HeaderList): HeaderBlock {
  return { list, text: asOneString(headerLines(list)), hasLength: namesLength(list) };
}

/** V8 keeps a text that was put together as a tree of its pieces, which is many times its size. */
function asOneString(text: string): string {
  return Buffer.from(text, "latin1").toString("latin1");
}

/** Throws internal where a value could end its line, as node's own writer does. */
export function headerLines(list: HeaderList): string {
  let lines = "";
  for (let index = 0; index < list.length; index += 2) {
    const value = list[index + 1] as string; // a list holds pairs
    if (UNSENDABLE.test(value)) throw new HuiyuanError("internal", `Cannot send the header ${list[index]}: its value`);
    lines += `${list[index]}: ${value}\r\n`;
  }
  return lines;
}

export function namesLength(list: HeaderList): boolean {
  for (let index = 0; index < list.length; index += 2) if (list[index] === "Content-Length") return true;
  return false;
}

/** An answer through node's http server. */
export function nodeResponse(response: ServerResponse): DownloadResponse {
  return new NodeResponse(response);
}

/** A class: V8 makes a slow object of every literal with a getter, and keeps all that it refers to. */
class NodeResponse implements DownloadResponse {
  readonly #response: ServerResponse;
  #drained: (() => void) | undefined;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  get statusCode(): number {
    return this.#response.statusCode;
  }

  get headersSent(): boolean {
    return this.#response.headersSent;
  }

  get destroyed(): boolean {
    return this.#response.destroyed;
  }

  writeHead(status: number, ...headers: readonly Headers[]): void {
    this.#response.writeHead(status, flatHeaders(headers) as string[]); // node reads it only
  }

  write(bytes: Buffer): boolean {
    return this.#response.write(bytes);
  }

  end(bytes?: Buffer): void {
    this.#response.end(bytes);
  }

  destroy(): void {
    this.#response.destroy();
  }

  onceDrained(listener: () => void): void {
    if (this.#drained === undefined) this.#response.on("drain", () => this.#drained?.());
    this.#drained = listener;
  }

  onceGone(listener: () => void): void {
    this.#response.once("close", () => this.#response.writableFinished || listener());
  }

  onceOver(listener: () => void): void {
    if (this.#response.closed) listener();
    else this.#response.once("close", listener);
  }
}

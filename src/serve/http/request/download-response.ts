// The response to a download, as handlers see it: written by node's http server (here) or by the fast path
// (wire/fast-path/response.ts). Header blocks are built once and sent many times. It decides nothing about a response.
import { HuiyuanError } from "../../../core/errors.ts";

/** Names and values in turn. */
export type HeaderList = readonly string[];

/** Headers for many responses, formatted and checked once. */
export interface HeaderBlock {
  readonly list: HeaderList;
  /** The header lines, each with its CRLF; one character a byte. */
  readonly text: string;
  /** Whether `list` contains Content-Length. */
  readonly hasLength: boolean;
}

export type Headers = HeaderList | HeaderBlock;

/** The response to one request. Nothing can be written after `end` or `destroy`. */
export interface DownloadResponse {
  /** The status of the written head; 200 before that. */
  readonly statusCode: number;
  readonly headersSent: boolean;
  /** The connection has closed, or was destroyed. */
  readonly destroyed: boolean;
  /**
   * The head is sent with the first bytes or the end. A body without Content-Length is chunked. Throws internal for CR,
   * LF or NUL.
   */
  writeHead(status: number, ...headers: readonly Headers[]): void;
  /** False: wait for `onceDrained` before the next write. */
  write(bytes: Buffer): boolean;
  /** `taken`: called once the buffer is no longer read, perhaps within `end`, perhaps never. */
  end(bytes?: Buffer, taken?: () => void): void;
  /** Breaks the connection: the client sees that the body is not whole. */
  destroy(): void;
  /** `listener` is called once when more may be written. A later call replaces an earlier one. */
  onceDrained(listener: () => void): void;
  /** `listener` is called once if the connection closes before the response is complete, at once if it has closed. */
  onceGone(listener: () => void): void;
  /** `listener` is called once when the kernel has the last byte, or the connection has closed. */
  onceOver(listener: () => void): void;
}

const UNSENDABLE = /[^\t\x20-\x7e\x80-\xff]/;

export function flatHeaders(headers: readonly Headers[]): HeaderList {
  return headers.flatMap((part) => ("list" in part ? part.list : part));
}

export function headerBlock(list: HeaderList): HeaderBlock {
  return { list, text: asOneString(headerLines(list)), hasLength: namesLength(list) };
}

/** Flattens a text: V8 stores a concatenated text as a tree of its pieces, which is many times its size. */
function asOneString(text: string): string {
  return Buffer.from(text, "latin1").toString("latin1");
}

/** Throws internal for a value that could end its line, as node's own writer does. */
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

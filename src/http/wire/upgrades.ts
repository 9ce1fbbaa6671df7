// Requests that node's parser gives a connection up for: offers to upgrade it, which are passed over (RFC 9110 §7.8), and
// CONNECT. Node's server takes the connection anew, since answers under way need it, and what is sent behind is read.
import type { IncomingMessage, Server } from "node:http";
import type { Socket } from "node:net";
import type { Pipelining } from "./pipelining.ts";

export interface UpgradeOptions {
  /** Has node's server take a connection. */
  readonly attach: (socket: Socket) => void;
  /** Gives it bytes as if they came next. */
  readonly unread: (socket: Socket, bytes: Buffer) => void;
  readonly pipeliningOf: (socket: Socket) => Pipelining;
  /** Of a connection that is taken anew; nothing behind the request has been read. */
  readonly connectAsked: (socket: Socket) => void;
}

export function ignoreUpgrades(server: Server, { attach, unread, pipeliningOf, connectAsked }: UpgradeOptions): void {
  server.on("upgrade", (request, socket: Socket, rest: Buffer) => {
    attach(socket);
    // Node's server knows nothing of the answers before, and would write this one among them.
    pipeliningOf(socket).hold(() => unread(socket, Buffer.concat([headWithoutUpgrade(request), rest])));
  });
  server.on("connect", (_request, socket: Socket) => {
    attach(socket);
    connectAsked(socket);
  });
}

/** No longer than it was, or it might be too long now. Parsed lines have no line ends within. */
function headWithoutUpgrade({ method, url, httpVersion, rawHeaders }: IncomingMessage): Buffer {
  let head = `${method} ${url} HTTP/${httpVersion}\r\n`;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string; // names and values in turn
    if (name.toLowerCase() !== "upgrade") head += `${name}:${rawHeaders[index + 1]}\r\n`;
  }
  return Buffer.from(`${head}\r\n`, "latin1");
}

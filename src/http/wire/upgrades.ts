// Handles requests after which node's parser lets go of a connection: offers to upgrade it, which are ignored (RFC 9110
// §7.8), and CONNECT, which is refused. Node's server takes the connection again, because running responses need it.
import type { IncomingMessage, Server } from "node:http";
import type { Socket } from "node:net";
import type { Pipelining } from "./pipelining.ts";

export interface UpgradeOptions {
  /** Lets node's server take a connection. */
  readonly attach: (socket: Socket) => void;
  /** Gives the connection bytes as if they came next. */
  readonly unread: (socket: Socket, bytes: Buffer) => void;
  readonly pipeliningOf: (socket: Socket) => Pipelining;
  /** Refuses CONNECT on a connection that was taken again; no input after the request has been read. */
  readonly connectAsked: (socket: Socket) => void;
}

export function ignoreUpgrades(server: Server, { attach, unread, pipeliningOf, connectAsked }: UpgradeOptions): void {
  server.on("upgrade", (request, socket: Socket, rest: Buffer) => {
    attach(socket);
    // Node's server has forgotten the earlier responses and would write this one between them.
    pipeliningOf(socket).hold(() => unread(socket, Buffer.concat([headWithoutUpgrade(request), rest])));
  });
  server.on("connect", (_request, socket: Socket) => {
    attach(socket);
    connectAsked(socket);
  });
}

/** The head is no longer than before, so it stays within the limit. Parsed lines contain no line ends. */
function headWithoutUpgrade({ method, url, httpVersion, rawHeaders }: IncomingMessage): Buffer {
  let head = `${method} ${url} HTTP/${httpVersion}\r\n`;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string; // names and values in turn
    if (name.toLowerCase() !== "upgrade") head += `${name}:${rawHeaders[index + 1]}\r\n`;
  }
  return Buffer.from(`${head}\r\n`, "latin1");
}

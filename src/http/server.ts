// A listening HTTP/1.1 socket with the limits that keep hostile clients bounded, and a stop that lets the others
// finish. What is answered is the listener's affair.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { type ErrorCode, errorRow, HuiyuanError } from "../errors.ts";
import { errorBody } from "./error-answer.ts";

export interface ServerOptions {
  readonly host: string;
  readonly port: number;
  readonly listener: (request: IncomingMessage, response: ServerResponse) => void;
  readonly nextRequestId: () => string;
  /** A socket on which nothing moves for so long is closed. Milliseconds. */
  readonly idleMs?: number;
  /** Told of what was refused before there was a request. */
  readonly refused?: (code: ErrorCode) => void;
}

export interface HttpServer {
  /** The port that is really bound; for port 0 the system's choice. */
  readonly port: number;
  readonly connections: () => Promise<number>;
  /** No new connections; requests under way get `graceMs` to finish, then their sockets are closed. */
  stop(graceMs: number): Promise<void>;
}

const HEAD_MS = 30_000;
const MAX_HEAD_BYTES = 16_384;
const MAX_CONNECTIONS = 20_000;
const IDLE_MS = 120_000;

/** Resolves when the port is bound; rejects with settings_invalid when it cannot be. */
export async function startServer(options: ServerOptions): Promise<HttpServer> {
  const server = createServer(
    {
      maxHeaderSize: MAX_HEAD_BYTES,
      headersTimeout: HEAD_MS,
      requestTimeout: HEAD_MS,
      connectionsCheckingInterval: 1_000,
      keepAliveTimeout: 65_000,
      // Judged by parseTarget, whose refusal has a code and a request id.
      requireHostHeader: false,
      noDelay: true,
    },
    options.listener,
  );
  server.maxConnections = MAX_CONNECTIONS;
  server.timeout = options.idleMs ?? IDLE_MS;
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => refuse(error, socket, options));
  await listen(server, options);
  return {
    port: (server.address() as AddressInfo).port, // bound to TCP above
    connections: () => new Promise((resolve) => server.getConnections((_error, count) => resolve(count ?? 0))),
    stop: (graceMs) => stop(server, graceMs),
  };
}

function listen(server: Server, { host, port }: ServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const found = error.code === "EADDRINUSE" ? "another program listens there" : (error.code ?? error.message);
      reject(new HuiyuanError("settings_invalid", `Cannot listen on ${host}:${port}: ${found}`, { cause: error }));
    });
    server.listen(port, host, resolve);
  });
}

/** Answers what the HTTP parser refuses; after it the connection cannot be used. */
function refuse(error: NodeJS.ErrnoException, socket: Socket, options: ServerOptions): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const code = parserFault(error.code);
  options.refused?.(code);
  const { status, errNo, text } = errorRow(code);
  const requestId = options.nextRequestId();
  const body = errorBody(new HuiyuanError(code, text), requestId);
  const head = [
    `HTTP/1.1 ${status} ${status === 408 ? "Request Timeout" : status === 431 ? "Request Header Fields Too Large" : "Bad Request"}`,
    "Content-Type: application/json; charset=utf-8",
    `Content-Length: ${body.byteLength}`,
    "Cache-Control: no-store",
    `X-ErrNo: ${errNo}`,
    `X-Request-Id: ${requestId}`,
    "Connection: close",
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body.toString()}`, () => socket.destroy());
}

function parserFault(code: string | undefined): ErrorCode {
  if (code === "HPE_HEADER_OVERFLOW") return "headers_too_large";
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return "request_timeout";
  return "request_invalid";
}

async function stop(server: Server, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), graceMs);
  await closed;
  clearTimeout(timer);
}

// A listening HTTP/1.1 socket with the limits that keep hostile clients bounded, and a stop that lets the others
// finish. What is answered is the listener's affair.
import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { type ErrorCode, errorRow, HuiyuanError } from "../errors.ts";
import { errorBody } from "./error-answer.ts";

export interface ServerOptions {
  readonly host: string;
  readonly port: number;
  readonly listener: (request: IncomingMessage, response: ServerResponse) => void;
  readonly nextRequestId: () => string;
  /** A socket on which nothing moves for so long is closed. Milliseconds; default 120 s. */
  readonly idleMs?: number;
  /** Told of what was refused before there was a request. */
  readonly refused?: (code: ErrorCode) => void;
}

export interface HttpServer {
  /** The port that is really bound; for port 0 the system's choice. */
  readonly port: number;
  /** Changes `idleMs` for connections to come. */
  setIdle(milliseconds: number): void;
  /** No new connections; requests under way get `graceMs` to finish, then their sockets are closed. */
  stop(graceMs: number): Promise<void>;
}

const HEAD_MS = 30_000;
const MAX_HEAD_BYTES = 16_384;
const MAX_CONNECTIONS = 20_000;
const IDLE_MS = 120_000;
const SWEEP_MS = 100;

/** Resolves when the port is bound; rejects with settings_invalid when it cannot be. */
export async function startServer(options: ServerOptions): Promise<HttpServer> {
  // The last answer of each connection: what the parser refuses may come while it still runs.
  const latest = new WeakMap<Socket, ServerResponse>();
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
    (request, response) => {
      latest.set(request.socket, response);
      options.listener(request, response);
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  server.timeout = options.idleMs ?? IDLE_MS;
  // Read once, or it is unknown by the time a client that has left is logged.
  server.on("connection", (socket: Socket) => void socket.remoteAddress);
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => {
    const isBusy = latest.get(socket)?.writableFinished === false || latest.get(socket)?.req.complete === false;
    if (error.code === "ECONNRESET" || !socket.writable || isBusy) socket.destroy();
    else refuse(parserFault(error.code), socket, options);
  });
  server.on("connect", (_request, socket: Socket) => refuse("method_not_allowed", socket, options));
  server.on("checkExpectation", (request: IncomingMessage) => refuse("request_invalid", request.socket, options));
  await listen(server, options);
  return {
    port: (server.address() as AddressInfo).port, // bound to TCP above
    setIdle(milliseconds) {
      server.timeout = milliseconds;
    },
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

/** Answers what never became a request for the listener; after it the connection cannot be used. */
function refuse(code: ErrorCode, socket: Socket, options: ServerOptions): void {
  options.refused?.(code);
  const { status, errNo, text } = errorRow(code);
  const requestId = options.nextRequestId();
  const body = errorBody(new HuiyuanError(code, text), requestId);
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    `Date: ${new Date().toUTCString()}`,
    "Content-Type: application/json; charset=utf-8",
    `Content-Length: ${body.byteLength}`,
    "Cache-Control: no-store",
    "X-Content-Type-Options: nosniff",
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
  // A connection that is kept alive becomes idle when its answer ends, and would wait for another request.
  const sweep = setInterval(() => server.closeIdleConnections(), SWEEP_MS);
  const timer = setTimeout(() => server.closeAllConnections(), graceMs);
  await closed;
  clearInterval(sweep);
  clearTimeout(timer);
}

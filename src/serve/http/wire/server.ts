// Listens for HTTP/1.1 with limits against hostile clients, and stops without breaking the requests of others. An
// acceptor may read connections before node's server does. It decides nothing about responses: listeners do.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, Server as NetServer, type Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { LiveSet } from "../../../async/live-map.ts";
import { type ErrorCode, HuiyuanError } from "../../../core/errors.ts";
import { isCallHead } from "../rest/target.ts";
import { createLingeringCloses, type LingeringCloses } from "./lingering-close.ts";
import { createFairness, createParserFeed, type ParserFeed, reportFaults } from "./parser-feed.ts";
import { createPipelining, type Pipelining } from "./pipelining.ts";
import { headOf, isForeignCoding, isHttp1, isLastRequest, refusal } from "./refusal.ts";

export interface ServerOptions {
  readonly host: string;
  readonly port: number;
  readonly listener: (request: IncomingMessage, response: ServerResponse) => void;
  /** Called for each new connection; it may close any. */
  readonly opened?: (socket: Socket) => void;
  /** Reads connections before node's server and may answer requests, in the same way as `listener`. */
  readonly accept?: (parts: AcceptorParts) => Acceptor;
  readonly nextRequestId: () => string;
  /** True: the listener sends "100 Continue" itself, or refuses the body before it is sent. */
  readonly continues?: boolean;
  /** The time limit for a whole request head; for the first one from the connection on. Milliseconds; default 30 s. */
  readonly headMs?: number;
  /** The time limit for a whole request, at least `headMs`; listeners may be stricter. Milliseconds; default 30 s. */
  readonly requestMs?: number;
  /** A socket without traffic for this time is closed. Milliseconds; default 60 s. */
  readonly idleMs?: number;
  /** The setting of the port, such as `server.port`, for the message of a port in use. */
  readonly setting?: string;
  /** Called for each refusal that no listener sees. */
  readonly refused?: (code: ErrorCode) => void;
}

/** The server's side of an acceptor. */
export interface AcceptorParts {
  /** Gives a connection, without listeners, to node's server: with its last input, and the time for its first head. */
  readonly handOver: (socket: Socket, bytes: Buffer, headMs?: number) => void;
  /** Refuses a connection that sent no request head within `headMs`. */
  readonly late: (socket: Socket) => void;
  /** Ends a connection after its last response, which the kernel has. */
  readonly end: (socket: Socket) => void;
  readonly headMs: number;
  readonly keepAliveMs: number;
  /** `timeout`: the time limit without traffic while a response is running. Milliseconds; settings change it. */
  readonly limits: { readonly timeout: number };
}

export interface Acceptor {
  accept(socket: Socket): void;
  /** From now on each response ends its connection, with `Connection: close`. */
  retire(): void;
  /** Closes connections without a running response. */
  closeIdle(): void;
  closeAll(): void;
}

export interface HttpServer {
  /** The bound port; for port 0 the system's choice. */
  readonly port: number;
  /** Changes `idleMs` for later connections. */
  setIdle(milliseconds: number): void;
  /**
   * Accepts no new connection. An idle connection stays open for 1 s; its next request is answered, with `Connection:
   * close`. Running requests get `graceMs` to finish, then all sockets are closed.
   */
  stop(graceMs: number): Promise<void>;
}

const HEAD_MS = 30_000;
const KEEP_ALIVE_MS = 65_000;
/**
 * The time that a client that has closed its side may wait for the next byte of its response. It may still read, but
 * mostly it is gone, and nothing else reports that. Milliseconds.
 */
export const HALF_CLOSED_MS = 1_000;
const MAX_HEAD_BYTES = 16_384;
const MAX_CONNECTIONS = 20_000;
/** Connections that wait while the program is busy; the kernel caps this at net.core.somaxconn. */
const BACKLOG = 4_096;
const IDLE_MS = 60_000;
/**
 * Within this time a proxy that reuses connections gets one more response, and a health check its 503. Milliseconds.
 */
const IDLE_GRACE_MS = 1_000;
const SWEEP_MS = 100;
/** Turns of the event loop before a sweep, so that requests that arrived while the program was busy have been read. */
const SWEEP_TURNS = 3;

/** Resolves when the port is bound. Throws settings_invalid if it cannot be bound. */
export async function startServer(options: ServerOptions): Promise<HttpServer> {
  const lingeringCloses = createLingeringCloses();
  const connections = new WeakMap<Socket, NodeConnection>();
  const fairness = createFairness();
  const connectionOf = (socket: Socket): NodeConnection => {
    const known = connections.get(socket);
    if (known !== undefined) return known;
    const pipelining = createPipelining(socket);
    const made: NodeConnection = {
      pipelining,
      parserFeed: createParserFeed(socket, {
        takeOver,
        isFull: () => pipelining.isFull() || pipelining.awaitsTurn(),
        fairness,
        newest: () => made.newest,
      }),
      newest: undefined,
    };
    connections.set(socket, made);
    return made;
  };
  const refuse = (code: ErrorCode, socket: Socket, head = "") => {
    connectionOf(socket).pipelining.refuse((broken) => {
      // A part of a response has gone out, so no other response can follow.
      if (broken?.headersSent === true && !broken.writableEnded) return socket.destroy();
      if (broken?.headersSent === true || !socket.writable) return lingeringCloses.end(socket);
      const about = broken === undefined ? head : headOf(broken.req);
      const isCall = isCallHead(about);
      const shown = broken !== undefined && isCall && code === "request_invalid" ? "form_broken" : code;
      options.refused?.(shown);
      const isHead = about.startsWith("HEAD ");
      socket.write(refusal(shown, { requestId: options.nextRequestId(), isCall, isHead }));
      lingeringCloses.end(socket);
    });
  };
  const begunOf = (socket: Socket) => connectionOf(socket).parserFeed.begun();
  const late = (socket: Socket) => {
    // The response is the same for API calls and downloads, so the method is enough.
    const begun = begunOf(socket);
    refuse("request_timeout", socket, begun.slice(0, begun.indexOf(" ") + 1));
  };
  const takeOver = (socket: Socket) => {
    nodes?.call(server, socket);
    // Node calls this after a response with `Connection: close`.
    socket.destroySoon = () => lingeringCloses.end(socket);
  };
  const answering = new LiveSet<ServerResponse>();
  let isStopping = false;
  const begin = (request: IncomingMessage, response: ServerResponse) => {
    response.once("close", answering.add(response));
    if (isStopping || isLastRequest(request)) response.shouldKeepAlive = false;
    options.listener(request, response);
  };
  const take = (request: IncomingMessage, response: ServerResponse) => {
    if (!isHttp1(request) || isForeignCoding(request)) {
      return refuse("request_invalid", request.socket, headOf(request));
    }
    if (request.headers.upgrade !== undefined) reportFaults(request.socket);
    const connection = connectionOf(request.socket);
    clearTimeout(connection.headTimer);
    connection.newest = request;
    // No listener reads such a body, and it would stay in memory until the request has its turn.
    if (request.method === "GET" || request.method === "HEAD") request.resume();
    connection.pipelining.take(response, () => begin(request, response));
  };
  const { headMs = HEAD_MS } = options;
  const server = createServer(
    {
      maxHeaderSize: MAX_HEAD_BYTES,
      headersTimeout: headMs,
      requestTimeout: options.requestMs ?? HEAD_MS,
      connectionsCheckingInterval: 1_000,
      keepAliveTimeout: KEEP_ALIVE_MS,
      // targetOf() checks the Host, and its refusal has a code and a request id.
      requireHostHeader: false,
      noDelay: true,
    },
    take,
  );
  server.maxConnections = MAX_CONNECTIONS;
  // MAX_HEAD_BYTES is the limit. A limit on the count would drop later lines silently, a second Host among them.
  server.maxHeadersCount = 0;
  server.timeout = options.idleMs ?? IDLE_MS;
  const [nodes] = server.listeners("connection"); // node's own listener is the only one so far
  // An undocumented option as old as node's server: a client that has closed its side still gets its response.
  Object.assign(server, { httpAllowHalfOpen: true });
  const attach = (socket: Socket) => connectionOf(socket).parserFeed.attach();
  // Node's server counts the time for a head from its first byte, which may come late.
  const adopt = (socket: Socket, firstHeadMs: number | undefined) => {
    attach(socket);
    const connection = connectionOf(socket);
    if (firstHeadMs !== undefined) connection.headTimer = setTimeout(late, firstHeadMs, socket);
    socket.once("close", () => clearTimeout(connection.headTimer));
    socket.once("end", () => socket.setTimeout(HALF_CLOSED_MS));
  };
  const acceptor = options.accept?.({
    handOver(socket, bytes, firstHeadMs) {
      adopt(socket, firstHeadMs);
      connectionOf(socket).parserFeed.unread(bytes);
    },
    late,
    end: lingeringCloses.end,
    headMs,
    keepAliveMs: KEEP_ALIVE_MS,
    limits: server,
  });
  server.removeAllListeners("connection");
  server.on("connection", (socket: Socket) => {
    // Node caches the address on first access; after the client has left it could not be logged.
    void socket.remoteAddress;
    options.opened?.(socket);
    if (acceptor === undefined) adopt(socket, headMs);
    else acceptor.accept(socket);
  });
  // Node's parser has given the connection up; without a listener it would be cut.
  server.on("connect", (_request, socket: Socket) => {
    attach(socket);
    refuse("method_not_allowed", socket);
  });
  server.on("clientError", ({ code }: NodeJS.ErrnoException, socket: Socket) => {
    if (code === "ECONNRESET") socket.destroy();
    else if (code === "ERR_HTTP_REQUEST_TIMEOUT") late(socket);
    else refuse(code === "HPE_HEADER_OVERFLOW" ? "headers_too_large" : "request_invalid", socket, begunOf(socket));
  });
  if (options.continues === true) server.on("checkContinue", take);
  server.on("checkExpectation", (request: IncomingMessage, response: ServerResponse) => {
    // Some clients send an empty Expect header.
    if (request.headers.expect === "") take(request, response);
    else refuse("request_invalid", request.socket, headOf(request));
  });
  await listen(server, options);
  return {
    port: (server.address() as AddressInfo).port, // a bound TCP server has one
    setIdle(milliseconds) {
      server.timeout = milliseconds;
    },
    stop(graceMs) {
      isStopping = true;
      // Busy clients see `Connection: close` in their next response and lose no request.
      for (const response of answering) if (!response.headersSent) response.shouldKeepAlive = false;
      acceptor?.retire();
      return stop(server, { acceptor, lingeringCloses }, graceMs);
    },
  };
}

/** The state of a connection that node's server reads. */
interface NodeConnection {
  readonly pipelining: Pipelining;
  readonly parserFeed: ParserFeed;
  newest: IncomingMessage | undefined;
  headTimer?: NodeJS.Timeout;
}

function unlistenable({ code, message }: NodeJS.ErrnoException, port: number, setting = "the port"): string {
  if (code === "EADDRINUSE")
    return `another program uses this port; find it with \`ss -ltnp | grep :${port}\`, or change ${setting}`;
  if (code !== "EACCES") return code ?? message;
  return "ports below 1024 need root or CAP_NET_BIND_SERVICE; use another port, or nginx in front (EACCES)";
}

function listen(server: Server, { host, port, setting }: ServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const found = unlistenable(error, port, setting);
      reject(new HuiyuanError("settings_invalid", `Cannot listen on ${host}:${port}: ${found}`, { cause: error }));
    });
    server.listen({ port, host, backlog: BACKLOG }, resolve);
  });
}

async function stop(
  server: Server,
  parts: { readonly acceptor: Acceptor | undefined; readonly lingeringCloses: LingeringCloses },
  graceMs: number,
): Promise<void> {
  const { acceptor, lingeringCloses } = parts;
  // Not node's own close(): it ends connections that have no running request at this instant, so a busy client would
  // lose its next one. Until the first sweep, each such client gets a response with `Connection: close`.
  const idleUntil = performance.now() + IDLE_GRACE_MS;
  const closed = new Promise<void>((resolve) => NetServer.prototype.close.call(server, () => resolve()));
  const sweep = setInterval(async () => {
    if (performance.now() < idleUntil) return;
    for (let left = SWEEP_TURNS; left > 0; left -= 1) await nextTurn();
    // Lingering closes end by themselves, and node's server would treat them as idle.
    if (!lingeringCloses.isAny) server.closeIdleConnections();
    acceptor?.closeIdle();
  }, SWEEP_MS);
  const timer = setTimeout(() => {
    server.closeAllConnections();
    acceptor?.closeAll();
  }, graceMs);
  await closed;
  clearInterval(sweep);
  clearTimeout(timer);
  server.close(); // clears the rest of node's own state
}

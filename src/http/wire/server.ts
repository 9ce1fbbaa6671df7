// A listening HTTP/1.1 socket with the limits that keep hostile clients bounded, and a stop that lets the others
// finish. Plain requests may be answered in a lane of their own, beside node's server. What is answered is the
// listener's affair.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, Server as NetServer, type Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { LiveSet } from "../../async/live-map.ts";
import { type ErrorCode, HuiyuanError } from "../../core/errors.ts";
import { isCallHead } from "../rest/target.ts";
import { createFairness } from "./fairness.ts";
import { createFastPath, type FastPath, type FastPathOptions, HALF_CLOSED_MS } from "./fast-path/fast-path.ts";
import { createLingeringCloses, type LingeringCloses } from "./lingering-close.ts";
import { createParserFeed, type ParserFeed } from "./parser-feed.ts";
import { createPipelining, type Pipelining } from "./pipelining.ts";
import { headOf, isForeignCoding, isHttp1, parserFault, refusal } from "./refusal.ts";
import { type Body, gatherSmallChunks } from "./small-chunks.ts";
import { ignoreUpgrades } from "./upgrades.ts";

export interface ServerOptions {
  readonly host: string;
  readonly port: number;
  readonly listener: (request: IncomingMessage, response: ServerResponse) => void;
  /** For plain requests; must answer them as `listener` would. */
  readonly fastPath?: Pick<FastPathOptions, "listener" | "takes">;
  readonly nextRequestId: () => string;
  /** True: the listener says "100 Continue" itself, or refuses the body before it comes. */
  readonly continues?: boolean;
  /** How long a request head may take to come whole. Milliseconds; default 30 s. */
  readonly headMs?: number;
  /** How long a request may take to come whole, if the listener lets it; at least `headMs`. Milliseconds; default 30 s. */
  readonly requestMs?: number;
  /** A socket on which nothing moves for so long is closed. Milliseconds; default 60 s. */
  readonly idleMs?: number;
  /** Told of what was refused before there was a request. */
  readonly refused?: (code: ErrorCode) => void;
}

export interface HttpServer {
  /** The port that is really bound; for port 0 the system's choice. */
  readonly port: number;
  /** Changes `idleMs` for connections to come. */
  setIdle(milliseconds: number): void;
  /**
   * No new connections. Idle ones stay open for 1 s: the next request of each is answered, as its last. Requests under way
   * get `graceMs` to finish, then all sockets are closed.
   */
  stop(graceMs: number): Promise<void>;
}

const HEAD_MS = 30_000;
const KEEP_ALIVE_MS = 65_000;
const MAX_HEAD_BYTES = 16_384;
const MAX_CONNECTIONS = 20_000;
/** Clients that come at once while the program is busy; the kernel takes no more than net.core.somaxconn. */
const BACKLOG = 4_096;
const IDLE_MS = 60_000;
/** Proxies that reuse connections learn so, by an answer, that theirs ends; health checks see a 503. */
const IDLE_GRACE_MS = 1_000;
const SWEEP_MS = 100;
/** Turns of the loop before a sweep: requests that came while the program was busy have then been read. */
const SWEEP_TURNS = 3;

/** Resolves when the port is bound; rejects with settings_invalid when it cannot be. */
export async function startServer(options: ServerOptions): Promise<HttpServer> {
  const lingeringCloses = createLingeringCloses();
  const connections = new WeakMap<Socket, Connection>();
  const fairness = createFairness();
  const connectionOf = (socket: Socket): Connection => {
    const known = connections.get(socket);
    if (known !== undefined) return known;
    const pipelining = createPipelining(socket);
    const made: Connection = {
      pipelining,
      parserFeed: createParserFeed(socket, {
        takeOver,
        isFull: pipelining.isFull,
        fairness,
        newest: () => made.newest,
      }),
      newest: undefined,
    };
    connections.set(socket, made);
    return made;
  };
  const pipeliningOf = (socket: Socket): Pipelining => connectionOf(socket).pipelining;
  const refuse = (code: ErrorCode, socket: Socket, head = "") => {
    pipeliningOf(socket).refuse((broken) => {
      // Bytes of an answer are out, and no other can follow.
      if (broken?.headersSent === true && !broken.writableEnded) return socket.destroy();
      if (broken?.headersSent === true || !socket.writable) return lingeringCloses.end(socket);
      const about = broken === undefined ? head : headOf(broken.req);
      const isCall = isCallHead(about);
      const told = broken !== undefined && isCall && code === "request_invalid" ? "form_broken" : code;
      options.refused?.(told);
      const isHead = about.startsWith("HEAD ");
      socket.write(refusal(told, { requestId: options.nextRequestId(), isCall, isHead }));
      lingeringCloses.end(socket);
    });
  };
  const takeOver = (socket: Socket) => {
    nodes?.call(server, socket);
    // Called behind an answer that says it is the last.
    socket.destroySoon = () => lingeringCloses.end(socket);
  };
  const answering = new LiveSet<ServerResponse>();
  let isStopping = false;
  const begin = (request: IncomingMessage, response: ServerResponse) => {
    response.once("close", answering.add(response));
    if (isStopping) response.shouldKeepAlive = false;
    options.listener(request, response);
  };
  const take = (request: IncomingMessage, response: ServerResponse) => {
    if (!isHttp1(request) || isForeignCoding(request)) {
      return refuse("request_invalid", request.socket, headOf(request));
    }
    const connection = connectionOf(request.socket);
    connection.newest = gatherSmallChunks(request);
    // Nobody reads it, and it would lie there until the request has its turn.
    if (request.method === "GET" || request.method === "HEAD") request.resume();
    connection.pipelining.take(response, () => begin(request, response));
  };
  const server = createServer(
    {
      maxHeaderSize: MAX_HEAD_BYTES,
      headersTimeout: options.headMs ?? HEAD_MS,
      requestTimeout: options.requestMs ?? HEAD_MS,
      connectionsCheckingInterval: 1_000,
      keepAliveTimeout: KEEP_ALIVE_MS,
      // Judged by readTarget, whose refusal has a code and a request id.
      requireHostHeader: false,
      noDelay: true,
    },
    take,
  );
  server.maxConnections = MAX_CONNECTIONS;
  // Bounded by MAX_HEAD_BYTES; a limit of its own drops what comes after, a second Host among it.
  server.maxHeadersCount = 0;
  server.timeout = options.idleMs ?? IDLE_MS;
  const [nodes] = server.listeners("connection"); // node's own is the only one yet
  const attach = (socket: Socket) => connectionOf(socket).parserFeed.attach();
  const unread = (socket: Socket, bytes: Buffer) => connectionOf(socket).parserFeed.unread(bytes);
  const late = (socket: Socket) => refuse("request_timeout", socket);
  const fastPath =
    options.fastPath &&
    openFastPath(server, { ...options.fastPath, attach, unread, fairness, late, end: lingeringCloses.end });
  server.removeAllListeners("connection");
  server.on("connection", (socket: Socket) => {
    // Read once, or it is unknown by the time a client that has left is logged.
    void socket.remoteAddress;
    if (fastPath === undefined) attach(socket);
    else fastPath.accept(socket);
  });
  ignoreUpgrades(server, {
    attach,
    unread,
    pipeliningOf,
    connectAsked: (socket) => refuse("method_not_allowed", socket),
  });
  server.on("clientError", (error: NodeJS.ErrnoException & { rawPacket?: Buffer }, socket: Socket) => {
    if (error.code === "ECONNRESET") socket.destroy();
    else {
      const code = parserFault(error.code);
      const begun = connectionOf(socket).parserFeed.begun();
      // A time-out is answered alike to calls and downloads: the method is enough.
      refuse(code, socket, code === "request_timeout" ? begun.slice(0, begun.indexOf(" ") + 1) : begun);
    }
  });
  if (options.continues === true) server.on("checkContinue", take);
  server.on("checkExpectation", (request: IncomingMessage, response: ServerResponse) => {
    // Some clients send the header empty.
    if (request.headers.expect === "") take(request, response);
    else refuse("request_invalid", request.socket, headOf(request));
  });
  await listen(server, options);
  return {
    port: (server.address() as AddressInfo).port, // bound to TCP above
    setIdle(milliseconds) {
      server.timeout = milliseconds;
    },
    stop(graceMs) {
      isStopping = true;
      // Clients that keep their connections busy are told, and need not lose a request.
      for (const response of answering) if (!response.headersSent) response.shouldKeepAlive = false;
      fastPath?.retire();
      return stop(server, { fastPath, lingeringCloses, graceMs });
    },
  };
}

/** A connection that node's server reads. */
interface Connection {
  readonly pipelining: Pipelining;
  readonly parserFeed: ParserFeed;
  /** The body of the newest request. */
  newest: Body | undefined;
}

interface BehindFastPath extends Pick<FastPathOptions, "listener" | "takes" | "fairness" | "late" | "end"> {
  /** Has node's server take a connection. */
  readonly attach: (socket: Socket) => void;
  /** Gives it bytes as if they came next. */
  readonly unread: (socket: Socket, bytes: Buffer) => void;
}

/** A lane with node's server behind it. */
function openFastPath(server: Server, { attach, unread, ...options }: BehindFastPath): FastPath {
  // Undocumented, and as old as the server: a client that has closed its side gets its answer, as in the lane.
  Object.assign(server, { httpAllowHalfOpen: true });
  return createFastPath({
    ...options,
    headMs: HEAD_MS,
    keepAliveMs: KEEP_ALIVE_MS,
    idleMs: () => server.timeout,
    handOver(socket, bytes) {
      attach(socket);
      socket.once("end", () => socket.setTimeout(HALF_CLOSED_MS));
      unread(socket, bytes);
    },
  });
}

function listen(server: Server, { host, port }: ServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const found = error.code === "EADDRINUSE" ? "another program listens there" : (error.code ?? error.message);
      reject(new HuiyuanError("settings_invalid", `Cannot listen on ${host}:${port}: ${found}`, { cause: error }));
    });
    server.listen({ port, host, backlog: BACKLOG }, resolve);
  });
}

interface Stopping {
  readonly fastPath: FastPath | undefined;
  readonly lingeringCloses: LingeringCloses;
  readonly graceMs: number;
}

async function stop(server: Server, { fastPath, lingeringCloses, graceMs }: Stopping): Promise<void> {
  // Not node's own close(), which ends at once what has no answer under way in this instant: whoever asks again and again
  // would lose a request. Until the first sweep such clients are told; then whatever is kept alive would wait for another.
  const idleUntil = performance.now() + IDLE_GRACE_MS;
  const closed = new Promise<void>((resolve) => NetServer.prototype.close.call(server, () => resolve()));
  const sweep = setInterval(async () => {
    if (performance.now() < idleUntil) return;
    for (let left = SWEEP_TURNS; left > 0; left -= 1) await nextTurn();
    // Those that end are waited for in any case, and node's server would take them for idle.
    if (!lingeringCloses.isAny) server.closeIdleConnections();
    fastPath?.closeIdle();
  }, SWEEP_MS);
  const timer = setTimeout(() => {
    server.closeAllConnections();
    fastPath?.closeAll();
  }, graceMs);
  await closed;
  clearInterval(sweep);
  clearTimeout(timer);
  server.close(); // what node's own has beside
}

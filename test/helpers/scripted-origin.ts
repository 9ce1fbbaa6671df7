// An origin on raw TCP that follows a test's script: bytes, delays, FIN, RST, silence, half-open ends, with or without
// TLS. It parses only request heads, and never writes a byte of its own. It counts connections and requests. The file
// is long because types, server and steps are used together.
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, TLSSocket } from "node:tls";

/** One request as received. */
export interface ScriptedRequest {
  readonly method: string;
  /** The request target, byte for byte. */
  readonly target: string;
  /** Lower-case names; repeated headers joined by ", ". */
  readonly headers: Readonly<Record<string, string>>;
  /** The whole head, line ends included. */
  readonly raw: string;
  readonly body: Buffer;
  /** Index of its connection, from 0. */
  readonly connection: number;
}

/** One accepted connection. */
export interface ScriptedConnection {
  /** Index from 0 in order of arrival; refused TLS handshakes do not count. */
  readonly index: number;
  /** True once the peer has closed or reset, or this side has ended. */
  readonly isGone: boolean;
  /** Resolves once the kernel has the bytes, or the peer has disconnected. Strings are Latin-1. */
  send(bytes: string | Uint8Array): Promise<void>;
  /** Resolves after `ms`, or earlier if the peer disconnects. */
  pause(ms: number): Promise<void>;
  /** Sends FIN; bytes sent before it still arrive. */
  end(): void;
  /** Sends RST at once. Sent but unacknowledged bytes may be lost, so let the peer read them first. */
  reset(): void;
  /** Sends nothing more; resolves once the peer disconnects. */
  hang(): Promise<void>;
}

/** Handles one request. The next one on the same connection is read after it has resolved. */
export type OriginHandler = (request: ScriptedRequest, connection: ScriptedConnection) => void | Promise<void>;

/** One step: bytes to send, or another event on the connection. */
export type Step = string | Uint8Array | { readonly pause: number } | "FIN" | "RST" | "HANG";

/** The steps of one response. */
export type Script = readonly Step[];

/**
 * Request target → its script, or one script per request in turn (the last one repeats). `*` matches any other target.
 */
export type ScriptTable = Readonly<Record<string, Script | { readonly inTurn: readonly Script[] }>>;

export interface ScriptedOriginOptions {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** PEM; if set, the origin uses TLS. */
  readonly tls?: { readonly key: string; readonly cert: string };
  /**
   * Called before a request is read. If it returns false, no request is read: the handler has already used the
   * connection.
   */
  readonly onConnection?: (connection: ScriptedConnection) => boolean;
  /** Maps a target to its name in the table of scripts; default: unchanged. */
  readonly nameOf?: (target: string) => string;
  /** Keeps this side open after the peer's FIN. */
  readonly isHalfOpen?: boolean;
}

export interface ScriptedOrigin {
  /** `http://host:port` or `https://…`, no slash at the end. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** All requests so far, in order of arrival. */
  readonly requests: readonly ScriptedRequest[];
  /** TCP connections accepted so far. */
  readonly connections: number;
  readonly openConnections: number;
  /** Resolves once at most `count` connections are open; throws after `withinMs`. */
  closedDownTo(count: number, withinMs?: number): Promise<void>;
  /** Resolves once `count` requests have arrived; throws after `withinMs`. */
  received(count: number, withinMs?: number): Promise<void>;
  close(): Promise<void>;
}

/** Starts an origin on its own port. The caller closes it. */
export async function startScriptedOrigin(
  script: OriginHandler | ScriptTable,
  options: ScriptedOriginOptions = {},
): Promise<ScriptedOrigin> {
  const handler = typeof script === "function" ? script : runTable(script, options.nameOf ?? ((target) => target));
  const host = options.host ?? "127.0.0.1";
  const requests: ScriptedRequest[] = [];
  const sockets = new Set<Socket>();
  const watchers = new Set<() => void>();
  const changed = () => {
    for (const watcher of watchers) watcher();
  };
  let connections = 0;

  // With TLS these are the raw connections, including refused handshakes.
  const count = (socket: Socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on("close", () => {
      sockets.delete(socket);
      changed();
    });
    changed();
  };

  let served = 0;
  const accept = (socket: Socket) => {
    const connection = wrap(socket, served++);
    if (options.isHalfOpen !== true) socket.on("end", () => socket.end());
    if (options.onConnection?.(connection) === false) {
      socket.resume();
      return;
    }
    void serve(socket, connection, (request) => {
      requests.push(request);
      changed();
      return handler(request, connection);
    });
  };

  const server: Server =
    options.tls === undefined
      ? createServer({ allowHalfOpen: true, noDelay: true }, accept)
      : createTlsServer({ ...options.tls, allowHalfOpen: true, noDelay: true }, accept);
  server.prependListener("connection", count);
  // Some tests make handshakes fail, and only this listener ends those half-open connections.
  server.on("tlsClientError", (_error, socket: Socket) => socket.destroy());
  server.listen(0, host);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // a TCP server's address is never a string

  const until = (isReached: () => boolean, what: () => string, withinMs: number) =>
    new Promise<void>((resolve, reject) => {
      const done = (finish: () => void) => {
        watchers.delete(check);
        clearTimeout(timer);
        finish();
      };
      const check = () => {
        if (isReached()) done(resolve);
      };
      const timer = setTimeout(() => done(() => reject(new Error(`${what()} after ${withinMs} ms`))), withinMs);
      watchers.add(check);
      check();
    });

  return {
    url: `${options.tls === undefined ? "http" : "https"}://${host.includes(":") ? `[${host}]` : host}:${port}`,
    host,
    port,
    requests,
    get connections() {
      return connections;
    },
    get openConnections() {
      return sockets.size;
    },
    closedDownTo: (count, withinMs = 2000) =>
      until(
        () => sockets.size <= count,
        () => `${sockets.size} connections open, ${count} awaited`,
        withinMs,
      ),
    received: (count, withinMs = 2000) =>
      until(
        () => requests.length >= count,
        () => `${requests.length} requests received, ${count} awaited`,
        withinMs,
      ),
    async close() {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** A whole response with Content-Length, as one step; `headers` may override it. */
export function response(
  body: string | Uint8Array,
  options: { readonly status?: string; readonly headers?: Readonly<Record<string, string>> } = {},
): Buffer {
  // Buffer.from() also takes strings, but its types accept one kind at a time
  const bytes = Buffer.from(body as Uint8Array);
  const headers = Object.entries({ "Content-Length": String(bytes.length), ...options.headers });
  return Buffer.concat([head(options.status ?? "200 OK", headers), bytes]);
}

/** A response head; headers are written as given, including repeated ones. */
export function head(status: string, headers: readonly (readonly [string, string])[] = []): Buffer {
  const lines = [`HTTP/1.1 ${status}`, ...headers.map(([name, value]) => `${name}: ${value}`)];
  return Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
}

/** One chunk of a chunked body; an empty one is the last. */
export function chunk(bytes: string | Uint8Array): Buffer {
  const data = Buffer.from(bytes as Uint8Array); // see response()
  return Buffer.concat([Buffer.from(`${data.length.toString(16)}\r\n`), data, Buffer.from("\r\n")]);
}

function runTable(table: ScriptTable, nameOf: (target: string) => string): OriginHandler {
  const asked = new Map<string, number>();
  return async (request, connection) => {
    const name = nameOf(request.target);
    const entry = table[name] ?? table["*"] ?? [response("", { status: "404 Not Found" })];
    const turn = asked.get(name) ?? 0;
    asked.set(name, turn + 1);
    const script = "inTurn" in entry ? (entry.inTurn[turn] ?? entry.inTurn.at(-1) ?? []) : entry;
    for (const step of script) await take(step, connection);
  };
}

/** Performs one step on a connection. */
export async function take(step: Step, connection: ScriptedConnection): Promise<void> {
  if (step === "FIN") connection.end();
  else if (step === "RST") connection.reset();
  else if (step === "HANG") await connection.hang();
  else if (typeof step === "object" && "pause" in step) await connection.pause(step.pause);
  else await connection.send(step);
}

function wrap(socket: Socket, index: number): ScriptedConnection {
  const isGone = () => socket.destroyed || socket.readableEnded || socket.writableEnded;
  const gone = new Promise<void>((resolve) => {
    socket.on("close", () => resolve());
    socket.on("end", () => resolve());
  });
  socket.on("error", () => {}); // tests make peers reset; `close` follows
  return {
    index,
    get isGone() {
      return isGone();
    },
    send: (bytes) =>
      new Promise((resolve) => {
        if (isGone()) return resolve();
        socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes, () => resolve());
      }),
    async pause(ms) {
      let timer: NodeJS.Timeout | undefined;
      const elapsed = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, ms);
      });
      await Promise.race([elapsed, gone]);
      clearTimeout(timer);
    },
    end: () => {
      socket.end();
    },
    reset: () => {
      // node can reset plain TCP only. A TLS connection is cut without its closing alert, which is as hard for peers.
      if (socket instanceof TLSSocket) socket.destroy();
      else socket.resetAndDestroy();
    },
    hang: () => gone,
  };
}

/** Reads heads (and bodies by Content-Length) one after the other until the connection ends. */
async function serve(
  socket: Socket,
  connection: ScriptedConnection,
  handle: (request: ScriptedRequest) => void | Promise<void>,
): Promise<void> {
  let pending = Buffer.alloc(0);
  let wake: (() => void) | undefined;
  socket.on("data", (bytes) => {
    pending = Buffer.concat([pending, bytes]);
    wake?.();
  });
  socket.on("end", () => wake?.());
  socket.on("close", () => wake?.());
  const more = () =>
    new Promise<void>((resolve) => {
      wake = resolve;
    });

  while (!connection.isGone) {
    const headEnd = pending.indexOf("\r\n\r\n");
    const request = headEnd < 0 ? undefined : parse(pending, headEnd + 4, connection.index);
    if (request === undefined) {
      await more();
      continue;
    }
    pending = pending.subarray(headEnd + 4 + request.body.length);
    await handle(request);
  }
}

function parse(bytes: Buffer, bodyStart: number, connection: number): ScriptedRequest | undefined {
  const raw = bytes.toString("latin1", 0, bodyStart);
  const [requestLine = "", ...lines] = raw.trimEnd().split("\r\n");
  const [method = "", target = ""] = requestLine.split(" ");
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`;
  }
  const bodyEnd = bodyStart + Number(headers["content-length"] ?? 0);
  if (bytes.length < bodyEnd) return undefined;
  return { method, target, headers, raw, body: Buffer.from(bytes.subarray(bodyStart, bodyEnd)), connection };
}

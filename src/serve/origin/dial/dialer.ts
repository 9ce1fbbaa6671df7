// The guarded dialer, the only door to undici: HTTP/1.1 pools whose connections all go through connect.ts. Origins,
// callbacks and S3 use it. It follows no redirect, retries nothing and ignores the environment's proxy variables.
import { createRequire } from "node:module";
import type { Socket } from "node:net";
import type { Dispatcher, Pool } from "undici";
import type { CancellationSource } from "../../../async/cancellation.ts";
import { LiveSet } from "../../../async/live-map.ts";
import { type AddressClass, classifyAddress } from "../../../core/addresses.ts";
import { asHuiyuanError, type ErrorCode } from "../../../core/errors.ts";
import { type ConnectRules, connectGuarded, type Endpoint } from "./connect.ts";
import { ClientWatch, DISTRUST_MS, Trust, WatchedHandler } from "./connection.ts";

export type { Dispatcher } from "undici";

const load = createRequire(import.meta.url);
/** Loaded by the first connection: commands that make none save 12 MB. */
const undici = () => load("undici") as typeof import("undici");

export interface DialerOptions extends Pick<ConnectRules, "allowPrivate" | "resolve"> {
  /** Milliseconds for name, TCP and TLS together. */
  readonly connectTimeoutMs: number;
  /** The most connections to one endpoint; further requests wait in its queue. */
  readonly connections: number;
  /** PEM of the authorities to trust instead of the system's. */
  readonly ca?: string | undefined;
  /** The address rules; replaced only in tests, where every address is a loopback one. */
  readonly classify?: (address: string) => AddressClass;
  /** An endpoint sent bytes without a request; for `ms` its connections are used once. */
  readonly onUnsolicited?: (endpoint: Endpoint, ms: number) => void;
}

/** undici passes the request object through, but not the handler. */
export interface TrackedRequest extends Dispatcher.DispatchOptions {
  /** Cancelled if the response may belong to another request. */
  readonly desync: CancellationSource;
}

export interface Dialer {
  /**
   * Returns the pool of an endpoint, made on first use. Dispatch at once and do not keep it: beyond 16 endpoints the
   * least recently used one is closed. Failures to connect reach the handler as HuiyuanError with the codes of
   * connectGuarded(). undici's timeouts of 30 s for head and body apply unless the request sets its own.
   */
  dispatcher(endpoint: Endpoint): Dispatcher;
  /** Waits for running requests, then closes every connection. */
  close(): Promise<void>;
}

const MAX_POOLS = 16;
const MAX_HEAD_BYTES = 65_536;
const DEFAULT_TIMEOUT_MS = 30_000;
/** Idle time of a connection. An origin's own Keep-Alive hint (minus 2 s) is obeyed up to the second value. */
const KEEP_ALIVE_MS = 15_000;
const KEEP_ALIVE_MAX_MS = 60_000;

export function createDialer(options: DialerOptions): Dialer {
  // Ordered by last use, oldest first.
  const pools = new Map<string, Pool>();
  const sockets = new LiveSet<Socket>();
  const retired = new LiveSet<Promise<void>>();
  let closing: Promise<void> | undefined;

  /** `onBroken`: one of its clients must not be used again. */
  const openPool = (endpoint: Endpoint, trust: Trust, onBroken: () => void): Pool => {
    const { isSecure, hostname, port } = endpoint;
    let session: Buffer | undefined;
    const dial = async () => {
      const socket = await connectGuarded(endpoint, {
        resolve: options.resolve,
        classify: options.classify ?? classifyAddress,
        allowPrivate: options.allowPrivate,
        timeoutMs: options.connectTimeoutMs,
        ca: options.ca,
        session,
        onSession: (fresh) => {
          session = fresh;
        },
      });
      socket.once("close", sockets.add(socket));
      return socket;
    };
    const host = hostname.includes(":") ? `[${hostname}]` : hostname;
    const { Client, Pool } = undici();
    return new Pool(`${isSecure ? "https" : "http"}://${host}:${port}`, {
      connections: options.connections,
      pipelining: 1,
      allowH2: false,
      maxHeaderSize: MAX_HEAD_BYTES,
      headersTimeout: DEFAULT_TIMEOUT_MS,
      bodyTimeout: DEFAULT_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: KEEP_ALIVE_MAX_MS,
      factory: (url, clientOptions: object) => {
        const watch = new ClientWatch(trust, (error) => {
          process.emitWarning(error);
          onBroken();
        });
        const client = new Client(url, {
          ...clientOptions,
          connect: (_unused, callback) => {
            dial().then(
              (socket) => {
                watch.attach(socket, isSecure);
                callback(null, socket);
              },
              (error: unknown) => callback(asHuiyuanError(error), null),
            );
          },
        });
        const dispatch = client.dispatch.bind(client);
        client.dispatch = (request: Dispatcher.DispatchOptions | TrackedRequest, handler) => {
          const watched = new WatchedHandler(watch, handler, "desync" in request ? request.desync : undefined);
          return dispatch(performance.now() < trust.lostUntil ? { ...request, reset: true } : request, watched);
        };
        return client;
      },
    });
  };

  /** The pool takes no more requests, and closes once its running requests have ended. */
  const retire = (pool: Pool): void => {
    const closed: Promise<void> = pool.close().finally(() => over());
    const over = retired.add(closed);
  };

  const addPool = (key: string, endpoint: Endpoint): Pool => {
    const trust = new Trust(() => {
      options.onUnsolicited?.(endpoint, DISTRUST_MS);
      // Idle connections may hold unrequested bytes too, so none of them is used again, not even for a retry.
      if (closing !== undefined || pools.get(key) !== current) return;
      retire(current);
      current = open();
      pools.set(key, current);
    });
    const open = () => {
      const opened = openPool(endpoint, trust, () => {
        if (pools.get(key) === opened) pools.delete(key);
      });
      if (closing !== undefined) void opened.close(); // its requests fail like those of any closed pool
      return opened;
    };
    let current = open();
    return current;
  };

  const evictPool = () => {
    if (pools.size < MAX_POOLS) return;
    const [oldestKey, oldest] = pools.entries().next().value ?? [];
    const [key, pool] = [...pools].find(([, candidate]) => candidate.stats.size === 0) ?? [oldestKey, oldest];
    if (key === undefined || pool === undefined) return;
    pools.delete(key);
    retire(pool);
  };

  const closeAll = async () => {
    await Promise.all([...retired, ...[...pools.values()].map((pool) => pool.close())]);
    // A pool forgets a client whose dial failed while other requests waited for it. Connections that the client opened
    // later end here.
    await Promise.all([...sockets].map(endSocket));
  };

  return {
    dispatcher(endpoint) {
      const key = `${endpoint.isSecure}|${endpoint.hostname}|${endpoint.port}|${endpoint.servername ?? ""}`;
      let pool = pools.get(key);
      if (pool === undefined) {
        evictPool();
        pool = addPool(key, endpoint);
      }
      pools.delete(key);
      pools.set(key, pool);
      return pool;
    },
    close() {
      closing ??= closeAll();
      return closing;
    },
  };
}

function endSocket(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once("close", () => resolve());
    // Without an error undici asserts that no body is paused.
    socket.destroy(new (undici().errors.SocketError)("closed"));
  });
}

const CODES: Readonly<Record<string, ErrorCode>> = {
  UND_ERR_HEADERS_OVERFLOW: "origin_head_invalid",
  // Two different lengths: undici compares them before it rejects the head.
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: "origin_head_invalid",
  // Statuses below 100, and bytes after a bare 101: undici asserts that no origin sends them.
  ERR_ASSERTION: "origin_head_invalid",
  UND_ERR_CLOSED: "draining",
  UND_ERR_DESTROYED: "draining",
  UND_ERR_SOCKET: "origin_reset",
  ECONNRESET: "origin_reset",
  ECONNABORTED: "origin_reset",
  EPIPE: "origin_reset",
  ETIMEDOUT: "origin_timeout",
};

/**
 * Maps an error of undici or node to its code, for an exchange that fails before its response head is complete;
 * connect.ts and connection.ts map their own. Returns `internal` for unknown errors.
 */
export function headFailureCode(cause: Error): ErrorCode {
  const code = "code" in cause ? String(cause.code) : "";
  if (cause.name === "HTTPParserError") return "origin_head_invalid"; // it has no code in undici 7
  // An invalid head (100, 101) has the same code as a close by the peer; only the text differs.
  if (code === "UND_ERR_SOCKET" && /^bad (response|upgrade)$/.test(cause.message)) return "origin_head_invalid";
  if (code.startsWith("ERR_SSL_")) return "origin_tls"; // in TLS 1.3 the server may refuse us after its handshake
  return CODES[code] ?? "internal";
}

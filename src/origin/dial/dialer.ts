// The guarded dialer, the only door to undici: HTTP/1.1 pools whose every connection goes through connect.ts. Origins,
// callbacks and S3 borrow it. It follows no redirect, retries nothing and ignores proxy variables of the environment.

import type { Socket } from "node:net";
import { Client, type Dispatcher, errors, Pool } from "undici";
import { LiveSet } from "../../async/live-map.ts";
import { type AddressClass, classifyAddress } from "../../core/addresses.ts";
import { asHuiyuanError, HuiyuanError } from "../../core/errors.ts";
import { connectGuarded, type Endpoint } from "./connect.ts";
import { createEndHold, reportResets } from "./connection-end.ts";
import { Connection, createTrust, DISTRUST_MS, type Trust } from "./desync.ts";
import type { Resolve } from "./lookup.ts";

export type { Dispatcher } from "undici";

export interface DialerOptions {
  /** True where private addresses may be dialled for this host (no brackets, no trailing dot) and port. */
  readonly allowPrivate: (hostname: string, port: number) => boolean;
  readonly resolve: Resolve;
  /** Milliseconds for name, TCP and TLS together. */
  readonly connectTimeoutMs: number;
  /** Connections to one endpoint at most; further requests wait in its queue. */
  readonly connections: number;
  /** PEM of the authorities to trust instead of the system's. */
  readonly ca?: string | undefined;
  /** The address rules; another function only in tests, where every address is a loopback one. */
  readonly classify?: (address: string) => AddressClass;
  /** An endpoint has sent bytes that nobody asked for; its connections are used once for `ms`. */
  readonly onUnsolicited?: (endpoint: Endpoint, ms: number) => void;
}

/** A request whose sender wants to know over which connection it goes; undici hands the object through, but not the handler. */
export interface TrackedRequest extends Dispatcher.DispatchOptions {
  readonly sender: { setConnectionHolder(holder: ConnectionHolder): void };
}

/** Has one connection at a time. */
export interface ConnectionHolder {
  readonly connection: Connection | undefined;
}

export interface Dialer {
  /**
   * The pool of an endpoint, made when it is first asked for. Dispatch at once and do not keep it: of more than 16
   * endpoints the one that was used longest ago is closed. Failures to connect reach the handler as HuiyuanError
   * with the codes of connectGuarded(). Head and body have undici's time-outs of 30 s unless the request sets its own.
   */
  dispatcher(endpoint: Endpoint): Dispatcher;
  /** Connections that are open now, idle ones included. */
  readonly openConnections: number;
  /** Lets running requests end, then closes every connection. */
  close(): Promise<void>;
}

const MAX_POOLS = 16;
const MAX_HEAD_BYTES = 65_536;
const DEFAULT_TIMEOUT_MS = 30_000;
/** Idle connections; an origin's own Keep-Alive hint (less 2 s) is obeyed up to the second figure. */
const KEEP_ALIVE_MS = 15_000;
const KEEP_ALIVE_MAX_MS = 60_000;

export function createDialer(options: DialerOptions): Dialer {
  // In order of last use, oldest first.
  const pools = new Map<string, Pool>();
  const sockets = new LiveSet<Socket>();
  const retired = new LiveSet<Promise<void>>();
  let closing: Promise<void> | undefined;

  /** `broken`: one of its clients is of no more use. */
  const openPool = (endpoint: Endpoint, trust: Trust, onBroken: () => void): Pool => {
    const { isSecure, hostname, port } = endpoint;
    let session: Buffer | undefined;
    const dial = async (onSocket: (socket: Socket) => void) => {
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
      onSocket(socket);
      socket.once("close", sockets.add(socket));
      return socket;
    };
    const host = hostname.includes(":") ? `[${hostname}]` : hostname;
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
        const holder: { connection: Connection | undefined } = { connection: undefined };
        const endHold = createEndHold((error) => {
          process.emitWarning(error);
          onBroken();
        });
        const client = new Client(url, {
          ...clientOptions,
          connect: (_unused, callback) => {
            const onSocket = (socket: Socket) => {
              const connection = new Connection(trust);
              holder.connection = connection;
              endHold.attach(socket);
              if (!isSecure) reportResets(socket);
              const ifIdle = (report: () => void) => client.stats.running === 0 && report();
              watchErrors(socket, {
                onUnsolicitedBytes: () => ifIdle(() => connection.unsolicitedBytes()),
                onReset: () => ifIdle(() => connection.connectionReset()),
              });
            };
            dial(onSocket).then(
              (socket) => callback(null, socket),
              (error: unknown) => callback(asHuiyuanError(error), null),
            );
          },
        });
        const dispatch = client.dispatch.bind(client);
        client.dispatch = (request: Dispatcher.DispatchOptions | TrackedRequest, handler) => {
          if ("sender" in request) request.sender.setConnectionHolder(holder);
          return dispatch(trust.isLost ? { ...request, reset: true } : request, endHold.watch(handler));
        };
        return client;
      },
    });
  };

  /** It takes no more requests, and closes when those that it has are over. */
  const retire = (pool: Pool): void => {
    const closed: Promise<void> = pool.close().finally(() => over());
    const over = retired.add(closed);
  };

  const addPool = (key: string, endpoint: Endpoint): Pool => {
    const trust = createTrust(() => {
      options.onUnsolicited?.(endpoint, DISTRUST_MS);
      // Those that are idle may have a surplus too: none of them is used again, least of all for one more try.
      if (closing !== undefined || pools.get(key) !== current) return;
      retire(current);
      current = open();
      pools.set(key, current);
    });
    const open = () => {
      const opened = openPool(endpoint, trust, () => {
        if (pools.get(key) === opened) pools.delete(key);
      });
      if (closing !== undefined) void opened.close(); // its requests fail as those of any closed pool
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
    // A pool forgets a client whose dial failed while others waited for it; what that client opened since ends here.
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
    get openConnections() {
      return sockets.size;
    },
    close() {
      closing ??= closeAll();
      return closing;
    },
  };
}

/**
 * Calls `unasked` for bytes of which undici (7.30, client-h1.js) makes no answer, `reset` for a reset; before an idle connection is used again it waits
 * for one turn of the loop, so that what the kernel has by then is seen. Gives two errors of a connection the names under which undici (7.30, client-h1.js) does the right thing.
 * ECONNRESET: in a close-delimited body undici takes it for the end, and asserts when the body is paused just then.
 * UND_ERR_INFO: of a request that was aborted undici takes it for "not sent yet", and dials again for it in vain.
 */
function watchErrors(
  socket: Socket,
  { onUnsolicitedBytes, onReset }: { readonly onUnsolicitedBytes: () => void; readonly onReset: () => void },
): void {
  const destroy = socket.destroy;
  socket.destroy = (error?: Error) => {
    if (error?.message === "bad response" || error?.name === "HTTPParserError") onUnsolicitedBytes();
    if (error && "code" in error && error.code === "ECONNRESET") onReset();
    return destroy.call(socket, error && translateError(error));
  };
}

function translateError(error: Error): Error {
  const code = "code" in error ? error.code : undefined;
  if (code === "ECONNRESET") return new HuiyuanError("origin_reset", "The connection was reset", { cause: error });
  return code === "UND_ERR_INFO" ? new errors.SocketError(error.message) : error;
}

function endSocket(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once("close", () => resolve());
    // Without an error undici asserts that no body is paused.
    socket.destroy(new errors.SocketError("closed"));
  });
}

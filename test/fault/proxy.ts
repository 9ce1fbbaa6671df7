// A TCP proxy with one fault, for tests: it forwards requests unmodified, and responses late, slowly, in small pieces,
// cut short, or never. It does not parse HTTP. A test starts one proxy per fault and closes it.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout as elapse } from "node:timers/promises";

/** The fault for bytes from the target. Fields may be combined; without any, it is a plain proxy. */
export interface ProxyFault {
  /** Delay before each piece, milliseconds. */
  readonly latencyMs?: number;
  /** Maximum random additional delay, milliseconds, from a seeded dice. */
  readonly jitterMs?: number;
  readonly bytesPerSecond?: number;
  /** Maximum bytes of one write. */
  readonly sliceBytes?: number;
  /**
   * Stops after this many bytes of a connection; 0 stops before the first. FIN, RST, or silence while both sides stay
   * open.
   */
  readonly stop?: { readonly after: number; readonly by: "cut" | "reset" | "blackhole" };
  /** Delays the target's FIN by this many milliseconds, or never forwards it (`half-open`). */
  readonly end?: number | "half-open";
}

export interface FaultProxy {
  readonly port: number;
  /** Connections accepted so far. */
  readonly connections: number;
  readonly openConnections: number;
  close(): Promise<void>;
}

const BEFORE_RESET_MS = 20;

/**
 * Starts a proxy on a free port of 127.0.0.1 for `targetPort` of 127.0.0.1. It holds at most one piece per connection.
 */
export async function startFaultProxy(targetPort: number, fault: ProxyFault, seed = 1): Promise<FaultProxy> {
  const dice = createDice(seed);
  const sockets = new Set<Socket>();
  const over = new AbortController();
  let connections = 0;

  const watch = (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {}); // tests make peers reset; `close` follows
    socket.on("close", () => sockets.delete(socket));
  };

  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    connections += 1;
    const target = connect({ host: "127.0.0.1", port: targetPort, allowHalfOpen: true, noDelay: true });
    for (const socket of [client, target]) watch(socket);
    const pair = new AbortController();
    const end = () => {
      pair.abort();
      client.destroy();
      target.destroy();
    };
    // HTTP clients never half-close: a FIN means that the client has left.
    client.on("end", end);
    client.on("close", end);
    target.on("error", end);
    client.pipe(target);
    const signal = AbortSignal.any([pair.signal, over.signal]);
    carry(target, client, { fault, dice, signal }).catch(end); // the client has left, or the proxy closes
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");

  return {
    port: (server.address() as AddressInfo).port, // a TCP server's address is never a string
    get connections() {
      return connections;
    },
    get openConnections() {
      return sockets.size;
    },
    async close() {
      const closed = [server, ...sockets].map((each) => once(each, "close"));
      server.close();
      over.abort();
      for (const socket of sockets) socket.destroy();
      await Promise.all(closed);
    },
  };
}

interface Carriage {
  readonly fault: ProxyFault;
  readonly dice: () => number;
  readonly signal: AbortSignal;
}

/** Forwards until the target ends or the fault occurs. Rejects if either side has closed. */
async function carry(target: Socket, client: Socket, { fault, dice, signal }: Carriage): Promise<void> {
  const { latencyMs = 0, jitterMs = 0, bytesPerSecond = Number.POSITIVE_INFINITY, stop, end } = fault;
  let left = stop?.after ?? Number.POSITIVE_INFINITY;
  // During a blackhole the target's connection stays open, because the client's does.
  for await (const chunk of target.iterator({ destroyOnReturn: false })) {
    for (const piece of slice(chunk as Buffer, fault.sliceBytes)) {
      const bytes = piece.subarray(0, left);
      const wait = latencyMs + jitterMs * dice() + (1000 * bytes.length) / bytesPerSecond;
      if (wait > 0) await elapse(wait, undefined, { signal });
      if (bytes.length > 0) await send(client, bytes, signal);
      left -= bytes.length;
      if (left === 0) return strike(client, fault, signal);
    }
  }
  if (end === "half-open") return silence(signal);
  if (end !== undefined) await elapse(end, undefined, { signal });
  client.end();
}

async function strike(client: Socket, { stop }: ProxyFault, signal: AbortSignal): Promise<void> {
  if (stop?.by === "cut") client.end();
  else if (stop?.by === "blackhole") await silence(signal);
  else {
    // An RST may overtake bytes that the client has not read yet.
    await elapse(BEFORE_RESET_MS, undefined, { signal });
    client.resetAndDestroy();
  }
}

function silence(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

function send(socket: Socket, bytes: Buffer, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    socket.write(bytes, (error) => (error ? reject(error) : resolve()));
  });
}

function* slice(bytes: Buffer, size = bytes.length): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** Returns 0 to 1; the same sequence for the same seed (mulberry32). */
export function createDice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

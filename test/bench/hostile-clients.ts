// Hostile and slow clients on raw sockets: idle ones, very slow readers, endless request heads, floods of headers. Each
// runs until its signal aborts, and then leaves nothing open.
import { createHash } from "node:crypto";
import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

/** A socket that is destroyed when the signal aborts. `connect` may fail if the server is too busy to accept. */
function openSocket(port: number, signal: AbortSignal): Socket {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {}); // `close` follows
  const destroy = () => socket.destroy();
  if (signal.aborted) destroy();
  signal.addEventListener("abort", destroy, { once: true });
  socket.once("close", () => signal.removeEventListener("abort", destroy));
  return socket;
}

/** Resolves once either side has closed the connection. */
async function gone(socket: Socket): Promise<void> {
  // Not events.once(), which rejects if an error comes first.
  if (!socket.closed) await new Promise((resolve) => socket.once("close", resolve));
}

/** Sleeps for `ms`, or until the signal aborts. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => undefined); // an abort ends the pause early
}

const requestFor = (path: string, host = "any.example", more = "") =>
  `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${more}\r\n`;

/**
 * Sends one request on a connection, then keeps it open; reconnects if the server closes it. `answered` is called for
 * each response.
 */
export async function idleClient(port: number, path: string, signal: AbortSignal, answered: () => void): Promise<void> {
  while (!signal.aborted) {
    const socket = openSocket(port, signal);
    socket.once("data", answered);
    socket.resume();
    socket.write(requestFor(path));
    await gone(socket);
    await pause(100, signal);
  }
}

/** Sends `count` requests in one piece on a connection and never reads. Resolves once the connection has ended. */
export async function neverRead(
  {
    port,
    path,
    host,
    times,
  }: { readonly port: number; readonly path: string; readonly host: string; readonly times: number },
  signal: AbortSignal,
): Promise<void> {
  const socket = openSocket(port, signal);
  socket.pause();
  socket.write(requestFor(path, host).repeat(times));
  await gone(socket);
}

/** The response that a slow reader received. */
export interface SlowAnswer {
  readonly status: number;
  /** The body is as long as its Content-Length. */
  readonly isWhole: boolean;
  /** SHA-256 of the body, hexadecimal. */
  readonly sha256: string;
  readonly bodyBytes: number;
}

/** A slow reader's pace: reads this many bytes, then pauses this long. */
export interface Pace {
  readonly bytes: number;
  readonly pauseMs: number;
}

/** Reads one response at the given pace. `begun` is called after the head and the first bytes. */
export async function readSlowly(
  {
    port,
    path,
    host,
    begun,
  }: { readonly port: number; readonly path: string; readonly host?: string; readonly begun?: () => void },
  pace: Pace,
  signal: AbortSignal,
): Promise<SlowAnswer> {
  const socket = openSocket(port, signal);
  socket.write(requestFor(path, host, "Connection: close\r\n"));
  const hash = createHash("sha256");
  let head = "";
  let isInBody = false;
  let bodyBytes = 0;
  let sinceRest = 0;
  socket.on("data", (bytes: Buffer) => {
    sinceRest += bytes.length;
    if (sinceRest >= pace.bytes) {
      sinceRest = 0;
      socket.pause();
      setTimeout(() => socket.resume(), pace.pauseMs);
    }
    let body = bytes;
    if (!isInBody) {
      const before = head.length;
      head += bytes.toString("latin1");
      const end = head.indexOf("\r\n\r\n");
      if (end < 0) return;
      isInBody = true;
      begun?.();
      head = head.slice(0, end);
      body = bytes.subarray(end + 4 - before);
    }
    hash.update(body);
    bodyBytes += body.length;
  });
  await gone(socket);
  const declared = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? Number.NaN);
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 0);
  return { status, isWhole: bodyBytes === declared, sha256: hash.digest("hex"), bodyBytes };
}

/**
 * Sends a request head at one byte per second. Resolves with the time until the server ended the connection,
 * milliseconds, and the response's status.
 */
export async function drip(
  port: number,
  signal: AbortSignal,
): Promise<{ readonly ms: number; readonly status: number }> {
  let startedAt = performance.now();
  const socket = openSocket(port, signal);
  socket.on("connect", () => {
    startedAt = performance.now();
  });
  let answer = "";
  socket.on("data", (bytes: Buffer) => {
    answer += bytes.toString("latin1");
  });
  const head = `GET /slow-head.jpg HTTP/1.1\r\nHost: any.example\r\nX-Slow: ${"s".repeat(4_096)}`;
  let sent = 0;
  const timer = setInterval(() => socket.write(head.charAt(sent++)), 1_000);
  await gone(socket);
  clearInterval(timer);
  return { ms: performance.now() - startedAt, status: Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0) };
}

/**
 * Sends one head with `count` headers of 60 bytes. Resolves with the status; 0 if the connection broke before a
 * response.
 */
export async function floodOfHeaders(port: number, count: number, signal: AbortSignal): Promise<number> {
  const socket = openSocket(port, signal);
  let answer = "";
  socket.on("data", (bytes: Buffer) => {
    answer += bytes.toString("latin1", 0, 64);
  });
  const headers = Array.from({ length: count }, (_, index) => `X-Flood-${index}: ${"f".repeat(42)}\r\n`).join("");
  socket.write(requestFor("/flood.jpg", "any.example", `${headers}Connection: close\r\n`));
  await gone(socket);
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0);
}

/**
 * Sends `count` requests at once on one connection, each with 100 headers. Resolves with the number of 200 responses.
 */
export async function floodOfRequests(port: number, path: string, count: number, signal: AbortSignal): Promise<number> {
  const socket = openSocket(port, signal);
  const headers = Array.from({ length: 100 }, (_, index) => `X-Many-${index}: many\r\n`).join("");
  const request = (more: string) => `HEAD ${path} HTTP/1.1\r\nHost: any.example\r\n${headers}${more}\r\n`;
  let answers = "";
  socket.on("data", (bytes: Buffer) => {
    answers += bytes.toString("latin1");
  });
  socket.write(request("").repeat(count - 1) + request("Connection: close\r\n"));
  await gone(socket);
  return answers.split("HTTP/1.1 200 OK\r\n").length - 1;
}

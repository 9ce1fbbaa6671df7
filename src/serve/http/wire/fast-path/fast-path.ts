// The fast path's connections: plain requests are read directly on their sockets, because node's http server costs more
// than the whole work of a hit (performance.md). A connection stays here as long as its requests are plain. At the
// first other byte it moves to node's server for good, which sees that input as if it had read it: several requests in
// one read too. Input that comes during a response stays bytes until its end, so a client that does not read its
// responses costs no more than its input.

import type { Socket } from "node:net";
import { LiveSet } from "../../../../async/live-map.ts";
import type { DownloadResponse } from "../../request/download-response.ts";
import { type Acceptor, type AcceptorParts, HALF_CLOSED_MS } from "../server.ts";
import { createHeadReader, type FastPathRequest } from "./head.ts";
import { createHeadEnd, FastPathResponse, type FastPathResponseOptions } from "./response.ts";

export interface FastPathListener {
  /** Whether `listener` serves a request target. */
  readonly takes: (url: string) => boolean;
  readonly listener: (request: FastPathRequest, response: DownloadResponse) => void;
}

interface Drive extends FastPathListener, Pick<FastPathResponseOptions, "headEnd" | "isLast"> {
  readonly server: AcceptorParts;
  /** The connection is no longer the fast path's. */
  readonly left: () => void;
}

interface FastPathConnection {
  readonly socket: Socket;
  readonly isIdle: () => boolean;
}

/** Input that is buffered during a response; more waits in the kernel. */
const MAX_HELD_BYTES = 16_384;

/** Answers plain requests by `listener`. */
export const createFastPath =
  (listener: FastPathListener) =>
  (server: AcceptorParts): Acceptor => {
    const connections = new LiveSet<FastPathConnection>();
    const headEnd = createHeadEnd(server.keepAliveMs);
    let isRetired = false;
    const isLast = () => isRetired;
    return {
      accept(socket) {
        let leave: (() => boolean) | undefined;
        const left = () => void leave?.();
        leave = connections.add(drive(socket, { ...listener, server, headEnd, isLast, left }));
      },
      retire() {
        isRetired = true;
      },
      closeIdle() {
        for (const { socket, isIdle } of connections) if (isIdle()) socket.destroy();
      },
      closeAll() {
        for (const { socket } of connections) socket.destroy();
      },
    };
  };

/** Serves one connection until it closes or leaves the fast path. */
function drive(socket: Socket, { listener, takes, server, headEnd, isLast, left }: Drive): FastPathConnection {
  const { keepAliveMs } = server;
  const readHead = createHeadReader(socket);
  const headUntil = performance.now() + server.headMs;
  let hasRequest = false;
  /** The running response; there is one at a time. */
  let current: FastPathResponse | undefined;
  let held: Buffer | undefined;
  let isHalfClosed = false;
  /** The last response has gone out. */
  let isEnded = false;

  function receive(bytes: Buffer): void {
    if (current !== undefined) {
      hold(bytes);
      return;
    }
    const request = readHead(bytes);
    if (request !== undefined && takes(request.url)) {
      answer(request);
      return;
    }
    leave(() => server.handOver(socket, bytes, hasRequest ? undefined : headUntil - performance.now()));
    // The new owner has missed this event.
    if (isHalfClosed) socket.emit("end");
  }

  function answer(request: FastPathRequest): void {
    hasRequest = true;
    const response = new FastPathResponse(socket, { isHead: request.method === "HEAD", headEnd, isLast, finished });
    current = response;
    listener(request, response);
    // Mostly the response is complete by now, and no timer is needed.
    if (current === response) socket.setTimeout(isHalfClosed ? HALF_CLOSED_MS : server.limits.timeout);
  }

  function finished(): void {
    const wasLast = current?.isLast === true;
    current = undefined;
    if (wasLast || (held === undefined && isHalfClosed)) {
      isEnded = true;
      server.end(socket);
      return;
    }
    if (socket.timeout !== keepAliveMs) socket.setTimeout(keepAliveMs);
    if (held === undefined || socket.destroyed) return;
    const bytes = held;
    held = undefined;
    socket.resume();
    receive(bytes);
  }

  function hold(bytes: Buffer): void {
    held = held === undefined ? bytes : Buffer.concat([held, bytes]);
    if (held.byteLength > MAX_HELD_BYTES) socket.pause();
  }

  function leave(then: () => void): void {
    for (const [event, listen] of listeners) socket.off(event, listen);
    left();
    then();
  }

  /** The client sends no more requests; those it has sent are answered. */
  function halfClosed(): void {
    if (current === undefined) {
      socket.end();
      return;
    }
    isHalfClosed = true;
    socket.setTimeout(HALF_CLOSED_MS);
  }

  function expired(): void {
    if (hasRequest) socket.destroy();
    else leave(() => server.late(socket));
  }

  function closed(): void {
    left();
    current?.gone();
  }

  const listeners = [
    ["data", receive],
    ["drain", () => current?.drained()],
    ["end", halfClosed],
    ["timeout", expired],
    ["close", closed],
  ] as const;
  for (const [event, listen] of listeners) socket.on(event, listen);
  // This listener is never removed; `close` follows an error.
  socket.on("error", () => {});
  socket.setTimeout(server.headMs);
  return { socket, isIdle: () => current === undefined && !isEnded };
}

// The fast path's connections: plain requests are read directly on their sockets, because node's http server costs more
// than the whole work of a hit (performance.md). A connection stays here as long as its requests are plain. At the
// first other byte it moves to node's server for good, which sees that input as if it had read it. Pipelined requests
// stay bytes until their turn, so a client that does not read its responses costs no more than its input.

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

const HEAD_END = "\r\n\r\n";

/** Pipelined input that is buffered during a response; more waits in the kernel. */
const MAX_HELD_BYTES = 16_384;
/** Pipelined requests of one client before others get their turn. */
const ANSWERS_AT_ONCE = 16;

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
  const { keepAliveMs, fairness } = server;
  const readHead = createHeadReader(socket);
  const headUntil = performance.now() + server.headMs;
  let hasRequest = false;
  /** The running response; there is one at a time. */
  let current: FastPathResponse | undefined;
  let held: Buffer | undefined;
  let isAnsweringHeld = false;
  /** Other connections have their turn; held input comes after them. */
  let isYielding = false;
  let answersLeft = ANSWERS_AT_ONCE;
  let hasLeft = false;
  let isHalfClosed = false;
  /** The last response has gone out. */
  let isEnded = false;

  function receive(bytes: Buffer): void {
    if (current !== undefined || isYielding) {
      hold(bytes);
      return;
    }
    const request = readHead(bytes);
    if (request !== undefined && takes(request.url)) answer(request);
    else if (!receiveFirst(bytes)) {
      leave(() => server.handOver(socket, bytes, hasRequest ? undefined : headUntil - performance.now()));
      // The new owner has missed this event.
      if (isHalfClosed) socket.emit("end");
    }
  }

  /**
   * Answers the first of several heads in one piece and holds the rest. False: the first head is not plain, or not
   * whole.
   */
  function receiveFirst(bytes: Buffer): boolean {
    const end = bytes.indexOf(HEAD_END) + HEAD_END.length;
    if (end < HEAD_END.length || end === bytes.byteLength) return false;
    const request = readHead(bytes.subarray(0, end));
    if (request === undefined || !takes(request.url)) return false;
    hold(bytes.subarray(end));
    answer(request);
    return true;
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
    if (held !== undefined && !isAnsweringHeld) answerHeld();
  }

  /** A loop, because recursion would be a thousand calls deep for a thousand heads in one piece. */
  function answerHeld(): void {
    isAnsweringHeld = true;
    while (held !== undefined && current === undefined && !hasLeft && !isEnded && !socket.destroyed) {
      if (answersLeft === 0) {
        isYielding = true;
        fairness.wait(() => {
          isYielding = false;
          answersLeft = ANSWERS_AT_ONCE;
          answerHeld();
        });
        return;
      }
      answersLeft -= 1;
      const bytes = held;
      held = undefined;
      socket.resume();
      // Mostly more heads follow, and the first is tried alone.
      if (!receiveFirst(bytes)) receive(bytes);
    }
    isAnsweringHeld = false;
  }

  function hold(bytes: Buffer): void {
    held = held === undefined ? bytes : Buffer.concat([held, bytes]);
    if (held.byteLength > MAX_HELD_BYTES) socket.pause();
  }

  function leave(then: () => void): void {
    hasLeft = true;
    for (const [event, listen] of listeners) socket.off(event, listen);
    left();
    then();
  }

  /** The client sends no more requests; those it has sent are answered. */
  function halfClosed(): void {
    if (current === undefined && !isYielding) {
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
  return { socket, isIdle: () => current === undefined && !isYielding && !isEnded };
}

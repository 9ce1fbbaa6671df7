// The socket lane: plain requests are read and answered on their sockets, without node's http server, which costs more
// than all that a hit does (docs/performance.md). Every connection begins here, and stays as long as it brings plain heads.
// At the first other byte it goes to node's server for good, which sees those bytes as if it had read them. What is sent ahead
// stays bytes until its turn comes: requests behind an answer that nobody reads cost no more than they are long.

import type { Socket } from "node:net";
import { LiveSet } from "../../../async/live-map.ts";
import type { DownloadRequest } from "../../request/exchange.ts";
import type { DownloadResponse } from "../../response/response.ts";
import type { Fairness } from "../fairness.ts";
import { createHeadReader, type FastPathRequest } from "./head.ts";
import { createHeadEnd, FastPathResponse, type FastPathResponseOptions } from "./response.ts";

export interface FastPathOptions {
  readonly listener: (request: DownloadRequest, response: DownloadResponse) => void;
  /** Whether the listener is the right one for a request target. */
  readonly takes: (url: string) => boolean;
  /** Gets connections that leave the lane, with the bytes that were read last; no listener of ours is on the socket. */
  readonly handOver: (socket: Socket, bytes: Buffer) => void;
  /** Gets connections that have sent nothing within `headMs`. */
  readonly late: (socket: Socket) => void;
  /** Of all connections. */
  readonly fairness: Fairness;
  /** Ends a connection behind its last answer, which is with the kernel. */
  readonly end: (socket: Socket) => void;
  readonly headMs: number;
  readonly keepAliveMs: number;
  /** How long nothing may move while an answer is under way. Milliseconds. */
  readonly idleMs: () => number;
}

export interface FastPath {
  accept(socket: Socket): void;
  /** From now on a connection ends behind its answer, which says so. */
  retire(): void;
  /** Closes connections without an answer under way. */
  closeIdle(): void;
  closeAll(): void;
}

interface Connection {
  readonly socket: Socket;
  readonly isIdle: () => boolean;
}

/**
 * A client that has closed its side may still read: so long it waits for the next byte of its answer. Mostly it is gone, and
 * nothing else says so. Milliseconds.
 */
export const HALF_CLOSED_MS = 1_000;

const HEAD_END = "\r\n\r\n";

/** What a client may send ahead while it is being answered; more waits in the kernel. */
const MAX_HELD_BYTES = 16_384;
/** Of what one client has sent ahead; then others have their turn. */
const ANSWERS_AT_ONCE = 16;

export function createFastPath(options: FastPathOptions): FastPath {
  const connections = new LiveSet<Connection>();
  const headEnd = createHeadEnd(options.keepAliveMs);
  let isRetired = false;
  const isLast = () => isRetired;
  return {
    accept(socket) {
      let leave: (() => boolean) | undefined;
      const left = () => void leave?.();
      leave = connections.add(drive(socket, { ...options, headEnd, isLast, left }));
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
}

/** Serves one connection until it closes or leaves the lane. */
function drive(
  socket: Socket,
  options: FastPathOptions & Pick<FastPathResponseOptions, "headEnd" | "isLast"> & { readonly left: () => void },
): Connection {
  const { listener, takes, headEnd, isLast, keepAliveMs, fairness } = options;
  const readHead = createHeadReader(socket);
  let hasAsked = false;
  /** The answer under way: one at a time. */
  let current: FastPathResponse | undefined;
  let held: Buffer | undefined;
  let isAnsweringHeld = false;
  /** Others have their turn, and then what is held. */
  let isYielding = false;
  let answersLeft = ANSWERS_AT_ONCE;
  let hasLeft = false;
  let isHalfClosed = false;
  /** The last answer is out. */
  let isEnded = false;

  function receive(bytes: Buffer): void {
    if (current !== undefined || isYielding) {
      hold(bytes);
      return;
    }
    const request = readHead(bytes);
    if (request !== undefined && takes(request.url)) answer(request);
    else if (!receiveFirst(bytes)) {
      leave(() => options.handOver(socket, bytes));
      // Who takes over has not heard it.
      if (isHalfClosed) socket.emit("end");
    }
  }

  /** The first of several heads in one piece; the others are held. False: it is not plain, or not whole. */
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
    hasAsked = true;
    const response = new FastPathResponse(socket, { isHead: request.method === "HEAD", headEnd, isLast, finished });
    current = response;
    listener(request, response);
    // Mostly it is answered by now, and no timer need be set.
    if (current === response) socket.setTimeout(isHalfClosed ? HALF_CLOSED_MS : options.idleMs());
  }

  function finished(): void {
    const wasLast = current?.isLast === true;
    current = undefined;
    if (wasLast || (held === undefined && isHalfClosed)) {
      isEnded = true;
      options.end(socket);
      return;
    }
    if (socket.timeout !== keepAliveMs) socket.setTimeout(keepAliveMs);
    if (held !== undefined && !isAnsweringHeld) answerHeld();
  }

  /** Whoever is answered at once is no call within the call for the one before: a thousand may come in one piece. */
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
      // Mostly there are more behind it, which need not be looked at for that.
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
    options.left();
    then();
  }

  /** Nothing more will be asked; what was asked is answered. */
  function halfClosed(): void {
    if (current === undefined && !isYielding) {
      socket.end();
      return;
    }
    isHalfClosed = true;
    socket.setTimeout(HALF_CLOSED_MS);
  }

  function expired(): void {
    if (hasAsked) socket.destroy();
    else leave(() => options.late(socket));
  }

  function closed(): void {
    options.left();
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
  // Stays for good; `close` follows.
  socket.on("error", () => {});
  socket.setTimeout(options.headMs);
  return { socket, isIdle: () => current === undefined && !isYielding && !isEnded };
}

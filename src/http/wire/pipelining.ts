// Lets the pipelined requests of one connection begin one after the other, as the fast path does. Node's server would
// begin all at once, and a response that waits for its socket never hears that the client has gone. Requests that wait
// when the connection closes never begin.
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** Belongs to one connection. */
export interface Pipelining {
  /**
   * Calls `begin` once all earlier requests are answered. Never calls it if the connection closes first, or after
   * `refuse`.
   */
  take(response: ServerResponse, begin: () => void): void;
  /** Whether the parser must get no more requests. The socket is resumed when it may. */
  isFull(): boolean;
  /** Stops reading until all earlier requests are answered, then calls `readOn`. */
  hold(readOn: () => void): void;
  /**
   * Accepts no more requests. Calls `end` once all earlier ones are answered. `broken`: the response to the request
   * whose body has the fault; it may have begun.
   */
  refuse(end: (broken?: ServerResponse) => void): void;
}

interface Turn {
  readonly response?: ServerResponse;
  readonly begin: () => void;
}

/** Waiting requests; at this number the connection is not read. */
const MAX_WAITING = 4;

export function createPipelining(socket: Socket): Pipelining {
  const waiting: Turn[] = [];
  let current: ServerResponse | undefined;
  let latest: ServerResponse | undefined;
  let isRefused = false;
  let isHeld = false;

  // During a lingering close input is read and dropped (lingering-close.ts): a pause would be undone and done again for
  // ever.
  const isFull = () => !socket.writableEnded && (isHeld || waiting.length >= MAX_WAITING);

  function begin(turn: Turn): void {
    current = turn.response;
    current?.on("close", next); // emitted once
    turn.begin();
  }

  function next(): void {
    current = undefined;
    const turn = waiting.shift();
    if (turn === undefined) return;
    // Either the previous response was the connection's last, and node gives the socket to no later one; or the client
    // has gone, and nobody needs further input.
    if (socket.destroyed || turn.response?.socket === null) {
      waiting.length = 0;
      isHeld = false;
    } else begin(turn);
    if (!isFull() && socket.isPaused()) socket.resume();
  }

  /** Node resumes the socket by itself, after each response for example. */
  function pauseIfFull(): void {
    if (isFull()) socket.pause();
  }

  function hold(begin: () => void): void {
    if (current === undefined) {
      begin();
      return;
    }
    isHeld = true;
    waiting.push({
      begin() {
        isHeld = false;
        begin();
      },
    });
    pauseIfFull();
  }

  socket.on("resume", pauseIfFull);
  return {
    take(response, answer) {
      if (isRefused) return;
      latest = response;
      const turn = { response, begin: answer };
      if (current === undefined) return begin(turn);
      waiting.push(turn);
      pauseIfFull();
    },
    isFull,
    hold,
    refuse(end) {
      // While held, no input is read: the fault can only be a time-out, and it concerns no request.
      if (isRefused || isHeld) return;
      isRefused = true;
      const broken = latest?.req.complete === false ? latest : undefined;
      if (current === undefined || broken === current) return end(broken);
      if (broken !== undefined) waiting.pop();
      hold(() => end(broken));
    },
  };
}

export interface UpgradeOptions {
  /** Lets node's server take a connection. */
  readonly attach: (socket: Socket) => void;
  /** Gives the connection bytes as if they came next. */
  readonly unread: (socket: Socket, bytes: Buffer) => void;
  readonly pipeliningOf: (socket: Socket) => Pipelining;
  /** Refuses CONNECT on a connection that was taken again; no input after the request has been read. */
  readonly onConnect: (socket: Socket) => void;
}

export function ignoreUpgrades(server: Server, { attach, unread, pipeliningOf, onConnect }: UpgradeOptions): void {
  server.on("upgrade", (request, socket: Socket, rest: Buffer) => {
    attach(socket);
    // Node's server has forgotten the earlier responses and would write this one between them.
    pipeliningOf(socket).hold(() => unread(socket, Buffer.concat([headWithoutUpgrade(request), rest])));
  });
  server.on("connect", (_request, socket: Socket) => {
    attach(socket);
    onConnect(socket);
  });
}

/** The head is no longer than before, so it stays within the limit. Parsed lines contain no line ends. */
function headWithoutUpgrade({ method, url, httpVersion, rawHeaders }: IncomingMessage): Buffer {
  let head = `${method} ${url} HTTP/${httpVersion}\r\n`;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string; // names and values in turn
    if (name.toLowerCase() !== "upgrade") head += `${name}:${rawHeaders[index + 1]}\r\n`;
  }
  return Buffer.from(`${head}\r\n`, "latin1");
}

// Lets the pipelined requests of one connection begin one after the other, as the fast path does. Node's server would
// begin all at once, and a response that waits for its socket never hears that the client has gone. Requests that wait
// when the connection closes never begin.
import type { ServerResponse } from "node:http";
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
  /** Whether the newest request has a body that waits for its turn: nobody reads it until then. */
  awaitsTurn(): boolean;
  /**
   * Reads and accepts no more requests. Once all earlier ones are answered, calls `end`, which ends the connection.
   * `broken`: the response to the request whose body has the fault; it may have begun.
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

  // During a lingering close input is read and dropped (lingering-close.ts), so nothing may pause the socket.
  const isFull = () => !socket.writableEnded && (isRefused || waiting.length >= MAX_WAITING);

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
    if (socket.destroyed || turn.response?.socket === null) waiting.length = 0;
    else begin(turn);
    if (!isFull() && socket.isPaused()) socket.resume();
  }

  /** Node resumes the socket by itself, after each response for example. */
  function pauseIfFull(): void {
    if (isFull()) socket.pause();
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
    awaitsTurn: () => waiting.at(-1)?.response?.req.complete === false,
    refuse(end) {
      if (isRefused) return;
      isRefused = true;
      const broken = latest?.req.complete === false ? latest : undefined;
      if (current === undefined || broken === current) return end(broken);
      if (broken !== undefined) waiting.pop();
      waiting.push({ begin: () => end(broken) });
      pauseIfFull();
    },
  };
}

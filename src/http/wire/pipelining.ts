// The requests of one connection take turns, as in the lane. Node's server begins all that are sent ahead, and an answer that
// waits for its socket is never told that the client has gone. What waits when a connection closes never begins.
import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** Of one connection. */
export interface Pipelining {
  /** Calls `begin` when everything before is answered; never if the connection closes first, or will after `refuse`. */
  take(response: ServerResponse, begin: () => void): void;
  /** More requests are not to be begun; the socket is resumed when they are. */
  isFull(): boolean;
  /** Nothing is read until everything before is answered; then calls `readOn`. */
  hold(readOn: () => void): void;
  /**
   * Nothing more is taken. Calls `end` once when everything before is answered. `broken`: the answer to the request in whose
   * body the fault lies; it may be under way.
   */
  refuse(end: (broken?: ServerResponse) => void): void;
}

interface Turn {
  readonly response?: ServerResponse;
  readonly begin: () => void;
}

/** Beyond these the connection is not read on. */
const MAX_WAITING = 4;

export function createPipelining(socket: Socket): Pipelining {
  const waiting: Turn[] = [];
  let current: ServerResponse | undefined;
  let latest: ServerResponse | undefined;
  let isRefused = false;
  let isHeld = false;

  // What a connection that is being ended still brings is read away (endings.ts): a pause would be undone, and done again, for ever.
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
    // The answer before was the last of this connection: node gives the socket to none behind it. Or the client has gone, and
    // what would be read on is nobody's any more.
    if (socket.destroyed || turn.response?.socket === null) {
      waiting.length = 0;
      isHeld = false;
    } else begin(turn);
    if (!isFull() && socket.isPaused()) socket.resume();
  }

  /** Node reads on by itself, after each answer for one. */
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
      // Held, nothing is missed: it can only be the time, and of nobody's request.
      if (isRefused || isHeld) return;
      isRefused = true;
      const broken = latest?.req.complete === false ? latest : undefined;
      if (current === undefined || broken === current) return end(broken);
      if (broken !== undefined) waiting.pop();
      hold(() => end(broken));
    },
  };
}

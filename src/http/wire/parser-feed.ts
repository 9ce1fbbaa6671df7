// What a connection sends reaches node's parser in a form that it takes, and a few requests at a time. It makes objects of all that it
// is given, some 2 KB for each request: 64 KB of small ones sent ahead were 2.5 MB, and six hundred such connections 1.5 GB.
import type { Socket } from "node:net";
import type { Fairness } from "./fairness.ts";
import { createRequestFraming } from "./request-framing.ts";
import type { Body } from "./small-chunks.ts";

export interface ParserFeedOptions {
  /** Has node's server take the connection. */
  readonly takeOver: (socket: Socket) => void;
  /** As many requests as may wait are waiting; `resume` of the socket follows when there are fewer. */
  readonly isFull: () => boolean;
  /** Of all connections. */
  readonly fairness: Fairness;
  /** The newest request that the parser has brought. */
  readonly newest: () => Body | undefined;
}

/** Of one connection. */
export interface ParserFeed {
  /** Has node's server take the connection, from the bytes on that its parser has not seen. */
  attach(): void;
  /** Bytes that were taken from the parser, or from the socket before: they come before all others. */
  unread(bytes: Buffer): void;
  /** The first bytes of the request that the parser reads now, or has read last: one character a byte. */
  begun(): string;
}

/** Of one client; then others have their turn. */
const SLICES_AT_ONCE = 4;
/** How soon a body in too many pieces is looked at again. Milliseconds. */
const CROWDED_MS = 20;

type Listener = (bytes: Buffer) => void;
/** Node's server pauses the parser with the socket while much is to be written, and then wants to be given nothing. */
type Pausing = Socket & { readonly _paused?: boolean };

export function createParserFeed(
  socket: Socket,
  { takeOver, isFull, fairness, newest }: ParserFeedOptions,
): ParserFeed {
  let held: Buffer | undefined;
  let isFeeding = false;
  let slices = SLICES_AT_ONCE;
  let isYielding = false;
  let hasEnded = false;
  let framing = createRequestFraming();
  /** Node's own listeners. */
  let parse: Listener | undefined;
  let finish: (() => void) | undefined;

  const isOver = () => socket.destroyed || socket.writableEnded;
  const mayFeed = () => !isFull() && (socket as Pausing)._paused !== true && newest()?.isCrowded() !== true;

  function feed(): void {
    // What the parser calls may call for more, and others may have their turn before.
    if (isFeeding || isYielding) return;
    isFeeding = true;
    while (held !== undefined && slices > 0 && !isOver() && mayFeed()) feedSlice(held);
    isFeeding = false;
    // Nothing that still comes is a request any more.
    if (isOver()) held = undefined;
    if (held !== undefined) waitForRoom();
    else if (hasEnded) endIfRead();
  }

  /** No slice reaches beyond its request, so that the next request line is recognized. */
  function feedSlice(given: Buffer): void {
    const bytes = framing.escapeLine(given);
    // Node takes an empty buffer for the end of the connection.
    if (bytes.length === 0) {
      held = undefined;
      return;
    }
    const slice = bytes.subarray(0, framing.take(bytes));
    held = slice.length === bytes.length ? undefined : bytes.subarray(slice.length);
    const before = newest();
    parse?.(slice);
    const request = newest();
    request?.flush();
    if (request !== before) framing.beginBody(request?.declaredBytes);
    if (request?.isWhole() === true) framing.endRequest();
    slices -= 1;
  }

  /** Whoever makes room resumes the socket, but for what is made sure of here. */
  function waitForRoom(): void {
    socket.pause();
    if (slices === 0) yieldTo(fairness.wait);
    // Nothing tells of it: a stream that has asked for more asks no second time.
    else if (newest()?.isCrowded() === true) yieldTo((then) => setTimeout(then, CROWDED_MS));
  }

  function endIfRead(): void {
    // What waits to be unread comes first.
    if (isFull()) {
      socket.pause();
      return;
    }
    hasEnded = false;
    finish?.();
  }

  function yieldTo(others: (then: () => void) => void): void {
    isYielding = true;
    others(() => {
      isYielding = false;
      slices = SLICES_AT_ONCE;
      feed();
      // Paused here, it is to go on from here, but where the body waits for its reader.
      const mayResume = held === undefined && mayFeed() && newest()?.isFilled() !== true;
      if (mayResume && socket.isPaused()) socket.resume();
    });
  }

  function receive(bytes: Buffer): void {
    held = held === undefined ? bytes : Buffer.concat([held, bytes]);
    feed();
  }

  /** The client has closed its side, behind whatever is held, or waits elsewhere to be unread. */
  function end(): void {
    hasEnded = true;
    feed();
  }

  return {
    attach() {
      socket.off("data", receive).off("end", end).off("resume", feed);
      const others = { data: socket.listeners("data"), end: socket.listeners("end") };
      takeOver(socket);
      // A new parser expects a request line.
      framing = createRequestFraming();
      const own = (event: "data" | "end") => socket.listeners(event).filter((each) => !others[event].includes(each));
      const [parser] = own("data");
      const [finisher] = own("end");
      parse = parser as Listener | undefined;
      finish = finisher as (() => void) | undefined;
      if (parse !== undefined) socket.off("data", parse);
      if (finish !== undefined) socket.off("end", finish);
      // A listener for data also ends that the parser reads from the handle itself.
      socket.on("data", receive).on("end", end).on("resume", feed);
    },
    unread(bytes) {
      held = held === undefined ? bytes : Buffer.concat([bytes, held]);
      feed();
    },
    begun: () => framing.begun(),
  };
}

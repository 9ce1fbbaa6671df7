// Feeds the input of one connection to node's HTTP parser: one slice at a time, and only while few requests wait. The
// parser makes about 2 KB of objects for each request, so 64 KB of small pipelined requests became 2.5 MB, and six
// hundred such connections 1.5 GB. Raw bytes in a request line are escaped. request-framing.ts tracks
// where requests end.
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { createRequestFraming } from "./request-framing.ts";

export interface ParserFeedOptions {
  /** Lets node's server take the connection. */
  readonly takeOver: (socket: Socket) => void;
  /** Whether the parser must get no input. The socket is resumed when it may. */
  readonly isFull: () => boolean;
  /** Shared by all connections. */
  readonly fairness: Fairness;
  /** The newest request that the parser has emitted. */
  readonly newest: () => IncomingMessage | undefined;
}

/** Belongs to one connection. */
export interface ParserFeed {
  /** Hands the connection to node's server. Its new parser begins at the bytes that the old one has not seen. */
  attach(): void;
  /** Puts back bytes that were read before; they precede all other input. */
  unread(bytes: Buffer): void;
  /** The first bytes of the current request, or else of the last one; one character a byte. */
  begun(): string;
}

/** Slices of one connection before others get their turn. */
const SLICES_AT_ONCE = 4;

type Listener = (bytes: Buffer) => void;
/** Node's server sets `_paused` while too much output is queued; its parser must get no input then. */
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
  /** Node's own listeners for `data` and `end`. */
  let parse: Listener | undefined;
  let finish: (() => void) | undefined;

  const isOver = () => socket.destroyed || socket.writableEnded;
  const mayFeed = () => !isFull() && (socket as Pausing)._paused !== true;

  function feed(): void {
    // A listener that the parser calls may call this again, and other connections may have their turn first.
    if (isFeeding || isYielding) return;
    isFeeding = true;
    while (held !== undefined && slices > 0 && !isOver() && mayFeed()) feedSlice(held);
    isFeeding = false;
    // Later input is no request.
    if (isOver()) held = undefined;
    if (held !== undefined) waitForRoom();
    else if (hasEnded) endIfRead();
  }

  /** Invariant: no slice reaches beyond its request, so the next request line is recognized and escaped. */
  function feedSlice(given: Buffer): void {
    const bytes = framing.escapeLine(given);
    // Node takes an empty buffer as the end of the connection.
    if (bytes.length === 0) {
      held = undefined;
      return;
    }
    const slice = bytes.subarray(0, framing.take(bytes));
    held = slice.length === bytes.length ? undefined : bytes.subarray(slice.length);
    const before = newest();
    parse?.(slice);
    const request = newest();
    if (request !== before) framing.beginBody(declaredBytes(request));
    if (request?.complete === true) framing.endRequest();
    slices -= 1;
  }

  /** Pauses the socket. A finished request resumes it, or the turn of this connection does. */
  function waitForRoom(): void {
    socket.pause();
    if (slices === 0) yieldToOthers();
  }

  function endIfRead(): void {
    // Input that waits to be put back comes first.
    if (isFull()) {
      socket.pause();
      return;
    }
    hasEnded = false;
    finish?.();
  }

  function yieldToOthers(): void {
    isYielding = true;
    fairness.wait(() => {
      isYielding = false;
      slices = SLICES_AT_ONCE;
      feed();
      // A socket that was paused here is resumed here, unless the body waits for its reader.
      const mayResume = held === undefined && mayFeed() && !isFilled(newest());
      if (mayResume && socket.isPaused()) socket.resume();
    });
  }

  function receive(bytes: Buffer): void {
    held = held === undefined ? bytes : Buffer.concat([held, bytes]);
    feed();
  }

  /** The client has closed its side. Held input, and input that is still to be put back, comes first. */
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
      // With a `data` listener the parser no longer reads from the handle directly.
      socket.on("data", receive).on("end", end).on("resume", feed);
    },
    unread(bytes) {
      held = held === undefined ? bytes : Buffer.concat([bytes, held]);
      feed();
    },
    begun: () => framing.begun(),
  };
}

/** Undefined if the request has no Content-Length. The parser has checked it. */
function declaredBytes(request: IncomingMessage | undefined): number | undefined {
  const declared = request?.headers["content-length"];
  return declared === undefined ? undefined : Number(declared);
}

/** Whether so much of the body is unread that the socket waits for its reader. */
function isFilled(request: IncomingMessage | undefined): boolean {
  return request !== undefined && request.readableLength >= request.readableHighWaterMark;
}

type WithParser = Socket & { readonly parser?: { execute(bytes: Buffer): number | Error } };

/** Reports faults of input behind an ignored Upgrade. Node's parser hides them: it only stops reading. */
export function reportFaults({ parser }: WithParser): void {
  if (!parser) return;
  const { execute } = Object.getPrototypeOf(parser) as typeof parser;
  // Node keeps the parser for later connections, where this changes nothing: a slice ends with its request.
  parser.execute = (bytes) => {
    const read = execute.call(parser, bytes);
    return typeof read === "number" && read !== bytes.length ? new Error("the parser has stopped reading") : read;
  };
}

export interface Fairness {
  /** Calls `next` in a later turn of the event loop, after the callers before it. */
  wait(next: () => void): void;
}

export function createFairness(): Fairness {
  const waiting = new Set<() => void>();

  function run(): void {
    const [next] = waiting;
    if (next === undefined) return;
    waiting.delete(next);
    if (waiting.size > 0) setImmediate(run);
    next();
  }

  return {
    wait(next) {
      waiting.add(next);
      if (waiting.size === 1) setImmediate(run);
    },
  };
}

// What a connection sends reaches node's parser in a form that it takes, and a few requests at a time. It makes objects of all that it
// is given, some 2 KB for each request: 64 KB of small ones sent ahead were 2.5 MB, and six hundred such connections 1.5 GB.
import type { Socket } from "node:net";
import { escapeBeyondAscii } from "../request/target.ts";
import type { Fairness } from "./fairness.ts";
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

const HEAD_END = "\r\n\r\n";
const CR = 0x0d;
const LF = 0x0a;
const ZERO = 0x30;
/** Bytes of a request line that `begun` keeps: the host and path of a call are shorter. */
const MAX_BEGUN_BYTES = 512;
/** Of one client; then others have their turn. */
const SLICES_AT_ONCE = 4;
/** How soon a body in too many pieces is looked at again. Milliseconds. */
const CROWDED_MS = 20;

/** Where in a request the next byte stands. `between`: before a request line, where empty lines are allowed. */
type Place = "between" | "line" | "head" | "body";

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
  let place: Place = "between";
  /** Bytes of the body that are still to come; 0 if it is chunked. */
  let bodyLeft = 0;
  /** A chunked body may end at the next empty line. */
  let mayEnd = false;
  /** The last characters that the parser was given: an empty line may be cut in two. */
  let tail = "";
  let begun = "";
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
    if (held !== undefined) comeBack();
    else if (hasEnded) endIfRead();
  }

  /** A slice ends at the latest where its request ends, so that the next request line is recognized. */
  function feedSlice(given: Buffer): void {
    const bytes = place === "between" || place === "line" ? readLine(given) : given;
    // Node takes an empty buffer for the end of the connection.
    if (bytes.length === 0) {
      held = undefined;
      return;
    }
    const slice = bytes.subarray(0, sliceEnd(bytes));
    held = slice.length === bytes.length ? undefined : bytes.subarray(slice.length);
    tail = (tail + slice.toString("latin1", Math.max(0, slice.length - 3))).slice(-3);
    const before = newest();
    parse?.(slice);
    const request = newest();
    request?.flush();
    if (request !== before) {
      place = "body";
      bodyLeft = request?.declaredBytes ?? 0;
    } else if (bodyLeft > 0) bodyLeft -= slice.length;
    if (place === "body" && request?.isWhole() === true) place = "between";
    slices -= 1;
  }

  /** Heads and the ends of chunked bodies have an empty line behind them. */
  function sliceEnd(bytes: Buffer): number {
    if (bodyLeft > 0) return Math.min(bodyLeft, bytes.length);
    if (place !== "body") return emptyLineEnd(bytes, 0, tail) ?? bytes.length;
    const from = mayEnd ? 0 : lastChunkAt(bytes, tail);
    if (from < 0) return bytes.length;
    const end = emptyLineEnd(bytes, from, tail);
    mayEnd = end === undefined;
    return end ?? bytes.length;
  }

  /**
   * Percent-encodes the raw bytes of a request line: node's parser refuses them, and the lane takes them as if they were
   * escaped. Drops empty lines before it.
   */
  function readLine(given: Buffer): Buffer {
    const bytes = place === "between" ? withoutBlankLines(given) : given;
    const end = bytes.indexOf("\n");
    const line = bytes.toString("latin1", 0, end < 0 ? bytes.length : end);
    if (place === "between") begun = "";
    begun += line.slice(0, MAX_BEGUN_BYTES - begun.length);
    if (end >= 0) place = "head";
    else if (line !== "") place = "line";
    const escaped = escapeBeyondAscii(line);
    return escaped === line ? bytes : Buffer.concat([Buffer.from(escaped, "latin1"), bytes.subarray(line.length)]);
  }

  /** Whoever makes room resumes the socket, but for what is made sure of here. */
  function comeBack(): void {
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
      place = "between";
      bodyLeft = 0;
      mayEnd = false;
      tail = "";
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
    begun: () => begun,
  };
}

function withoutBlankLines(bytes: Buffer): Buffer {
  let start = 0;
  while (bytes[start] === CR || bytes[start] === LF) start += 1;
  return bytes.subarray(start);
}

/** Where a line begins with 0, as the last chunk does; -1 if none does. `tail`: the characters before `bytes`. */
function lastChunkAt(bytes: Buffer, tail: string): number {
  return tail.endsWith("\n") && bytes[0] === ZERO ? 0 : bytes.indexOf("\n0");
}

/** The end of the first empty line behind `from`, perhaps begun in `tail`; undefined if there is none. */
function emptyLineEnd(bytes: Buffer, from: number, tail: string): number | undefined {
  const isCut = from === 0 && (bytes[0] === CR || bytes[0] === LF);
  const cutEnd = isCut ? [1, 2, 3].find((length) => isCutAt(length, bytes, tail)) : undefined;
  if (cutEnd !== undefined) return cutEnd;
  const at = bytes.indexOf(HEAD_END, from);
  return at < 0 ? undefined : at + HEAD_END.length;
}

function isCutAt(length: number, bytes: Buffer, tail: string): boolean {
  return tail.endsWith(HEAD_END.slice(0, -length)) && bytes.toString("latin1", 0, length) === HEAD_END.slice(-length);
}

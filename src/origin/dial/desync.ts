// Whether the answers of a connection belong to its requests. Bytes that come when nobody has asked (a body behind a 304, a
// second answer, a length that is too short) may have come earlier too, behind the next request, and passed for its answer.
// Such an origin gets a connection for each request for a while, and what came over this one is doubted. No I/O.

/** So long an origin's connections are used once. Milliseconds. */
export const DISTRUST_MS = 600_000;
/** After so long without a byte what comes answers nothing: it is the farewell (408) of a server that closes. Milliseconds. */
const CLEAN_MS = 5_000;
/** Answers of one connection that may still be doubted; those before are believed. */
const MAX_TRACKED_RESPONSES = 64;

/** Whether an answer may be another request's. */
export interface Desync {
  readonly isRaised: boolean;
  /** Calls `listener` when it is raised, at once where it has been; one listener. */
  onRaised(listener: () => void): void;
}

/** Of one endpoint. */
export interface Trust {
  readonly isLost: boolean;
  lose(): void;
}

/** `lost`: called each time that it is lost, which is once in `DISTRUST_MS` at the most. */
export function createTrust(onLost: () => void, now: () => number = () => performance.now()): Trust {
  let until = Number.NEGATIVE_INFINITY;
  const isLost = () => now() < until;
  return {
    get isLost() {
      return isLost();
    },
    lose() {
      const wasLost = isLost();
      until = now() + DISTRUST_MS;
      if (!wasLost) onLost();
    },
  };
}

class AnswerDesync implements Desync {
  isRaised = false;
  #listener: (() => void) | undefined;

  onRaised(listener: () => void): void {
    if (this.isRaised) listener();
    else this.#listener = listener;
  }

  raise(): void {
    this.isRaised = true;
    this.#listener?.();
    this.#listener = undefined;
  }
}

/** One connection, whose requests are told of in turn. A class, since each dial makes one. */
export class Connection {
  readonly #trust: Trust;
  readonly #now: () => number;
  #answers = 0;
  /** Or opened. */
  #answeredAt: number;
  #tracked: AnswerDesync[] = [];

  constructor(trust: Trust, now: () => number = () => performance.now()) {
    this.#trust = trust;
    this.#now = now;
    this.#answeredAt = now();
  }

  /** An answer to the request before may have left bytes behind. */
  get isReused(): boolean {
    return this.#answers > 0;
  }

  /** A final head has come. Undefined for a connection's first: nothing was before it. */
  responseStarted(): Desync | undefined {
    if (!this.isReused) return undefined;
    if (this.#isClean()) this.#tracked = [];
    else if (this.#tracked.length === MAX_TRACKED_RESPONSES) this.#tracked.shift();
    const desync = new AnswerDesync();
    this.#tracked.push(desync);
    return desync;
  }

  /** The answer has ended as it should. */
  responseEnded(): void {
    this.#answers += 1;
    this.#answeredAt = this.#now();
  }

  /** Bytes have come while nobody had asked. */
  unsolicitedBytes(): void {
    if (this.#isClean()) return;
    const desyncs = this.#tracked;
    this.#tracked = [];
    this.#trust.lose();
    for (const desync of desyncs) desync.raise();
  }

  /**
   * It was reset while nobody waited for an answer: a request may lie there unread, whose answer was none of it. A server may also have
   * reset it for no such reason, so nothing but the last answer is doubted.
   */
  connectionReset(): void {
    if (!this.#isClean()) this.#tracked.pop()?.raise();
  }

  /** Bytes that are no answer have come in place of one. Where answers were shifted a true one would be there: none is doubted. */
  invalidHead(): void {
    this.#trust.lose();
  }

  #isClean(): boolean {
    return this.#now() - this.#answeredAt > CLEAN_MS;
  }
}

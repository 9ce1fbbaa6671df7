// Detects that the responses of a connection may not belong to its requests (desync). Signs are bytes without a
// request: a body after a 304, a second response, a declared length that is too short. Earlier bytes of this kind may
// have passed for the response to the next request. The origin then loses keep-alive for a while, and recent responses
// of the connection are reported. No I/O.

/** The time for which an origin's connections are used once. Milliseconds. */
export const DISTRUST_MS = 600_000;
/** Bytes after this idle time are no response to anything: servers send 408 before they close. Milliseconds. */
const CLEAN_MS = 5_000;
/** The most recent responses of one connection that are reported; earlier ones are trusted. */
const MAX_TRACKED_RESPONSES = 64;

/** Tells whether a response may be another request's. */
export interface Desync {
  readonly isRaised: boolean;
  /** Calls `listener` when the desync is raised, at once if it already was. One listener. */
  onRaised(listener: () => void): void;
}

/** The keep-alive trust of one endpoint. */
export interface Trust {
  readonly isLost: boolean;
  lose(): void;
}

/** `onLost`: called when trust is lost, at most once in `DISTRUST_MS`. */
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

/** Tracks the requests of one connection in order. A class, because each dial makes one. */
export class Connection {
  readonly #trust: Trust;
  readonly #now: () => number;
  #answers = 0;
  /** The time of the last response's end, or of the connection's start. */
  #answeredAt: number;
  #tracked: AnswerDesync[] = [];

  constructor(trust: Trust, now: () => number = () => performance.now()) {
    this.#trust = trust;
    this.#now = now;
    this.#answeredAt = now();
  }

  /** True if an earlier response may have left bytes behind. */
  get isReused(): boolean {
    return this.#answers > 0;
  }

  /** A final head has arrived. Undefined for a connection's first response: no response preceded it. */
  responseStarted(): Desync | undefined {
    if (!this.isReused) return undefined;
    if (this.#isClean()) this.#tracked = [];
    else if (this.#tracked.length === MAX_TRACKED_RESPONSES) this.#tracked.shift();
    const desync = new AnswerDesync();
    this.#tracked.push(desync);
    return desync;
  }

  /** The response has ended properly. */
  responseEnded(): void {
    this.#answers += 1;
    this.#answeredAt = this.#now();
  }

  /** Bytes have arrived while no request was running. */
  unsolicitedBytes(): void {
    if (this.#isClean()) return;
    const desyncs = this.#tracked;
    this.#tracked = [];
    this.#trust.lose();
    for (const desync of desyncs) desync.raise();
  }

  /**
   * The connection was reset while no request was running. The server may not have read a request whose response was
   * another's. Servers also reset for harmless reasons, so only the last response is reported.
   */
  connectionReset(): void {
    if (!this.#isClean()) this.#tracked.pop()?.raise();
  }

  /**
   * Bytes that are not a response have arrived in place of one. If responses had been shifted, a valid one would be
   * here, so none is reported.
   */
  invalidHead(): void {
    this.#trust.lose();
  }

  #isClean(): boolean {
    return this.#now() - this.#answeredAt > CLEAN_MS;
  }
}

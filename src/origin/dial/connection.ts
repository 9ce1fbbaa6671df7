// Watches one connection of undici (7.30, client-h1.js). ConnectionTrust detects that its responses may not belong to
// its requests (desync). createEndHold() delays its end while a body is paused, and reportResets() turns a false end
// into ECONNRESET.
import type { Socket } from "node:net";
import { type Cancellation, CancellationSource } from "../../async/cancellation.ts";

/** The time for which an origin's connections are used once. Milliseconds. */
export const DISTRUST_MS = 600_000;
/** Bytes after this idle time are no response to anything: servers send 408 before they close. Milliseconds. */
const CLEAN_MS = 5_000;
/** The most recent responses of one connection that are reported; earlier ones are trusted. */
const MAX_TRACKED_RESPONSES = 64;

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

/**
 * Tracks the requests of one connection in order. Signs of a desync are bytes without a request: a body after a 304, a
 * second response, a declared length that is too short. Earlier bytes of this kind may have passed for the response to
 * the next request. The origin then loses keep-alive for a while, and recent responses of the connection are reported.
 * A class, because each dial makes one.
 */
export class ConnectionTrust {
  readonly #trust: Trust;
  readonly #now: () => number;
  #answers = 0;
  /** The time of the last response's end, or of the connection's start. */
  #answeredAt: number;
  #tracked: CancellationSource[] = [];

  constructor(trust: Trust, now: () => number = () => performance.now()) {
    this.#trust = trust;
    this.#now = now;
    this.#answeredAt = now();
  }

  /** True if an earlier response may have left bytes behind. */
  get isReused(): boolean {
    return this.#answers > 0;
  }

  /**
   * A final head has arrived. Returns `desync` of OriginAnswer. Undefined for a connection's first response: no
   * response preceded it.
   */
  responseStarted(): Cancellation | undefined {
    if (!this.isReused) return undefined;
    if (this.#isClean()) this.#tracked = [];
    else if (this.#tracked.length === MAX_TRACKED_RESPONSES) this.#tracked.shift();
    const desync = new CancellationSource();
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
    for (const desync of desyncs) desync.cancel(undefined);
  }

  /**
   * The connection was reset while no request was running. The server may not have read a request whose response was
   * another's. Servers also reset for harmless reasons, so only the last response is reported.
   */
  connectionReset(): void {
    if (!this.#isClean()) this.#tracked.pop()?.cancel(undefined);
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

/** A handler of undici's older kind, which a pool passes to its clients. */
interface UndiciHandler {
  onConnect?(abort: (error?: Error) => void): void;
  onHeaders?(status: number, headers: Buffer[], resume: () => void, text: string): boolean;
  onData?(chunk: Buffer): boolean;
  onComplete?(trailers: string[] | null): void;
  onError?(error: Error): void;
}

/** Holds back the end of a connection, for one client, which has one connection and one request at a time. */
export interface EndHold {
  /**
   * Wraps the handler of a request; the client gets the wrapped one. Both are of undici's older kind, because the pool
   * has converted the handler that it got.
   */
  watch(handler: UndiciHandler): UndiciHandler;
  /** Call it with each connection of the client, before the client gets it. */
  attach(socket: Socket): void;
}

/**
 * undici asserts in a socket event, where no caller can catch it, that no body is paused when its connection ends
 * (nodejs/undici#5360). It also takes no more bytes from a connection that it knows has ended. So the end is held back
 * until the body resumes. Any other throw in an event of the socket ends that connection only. `onBroken`: the client
 * threw while it closed a connection, and must not get another.
 */
export function createEndHold(onBroken: (error: Error) => void): EndHold {
  let running: WatchedHandler | undefined;
  let releaseEnd = () => {};
  let failConnection = (_error: Error) => {};

  class WatchedHandler implements UndiciHandler {
    isPaused = false;
    readonly #inner: UndiciHandler;

    constructor(inner: UndiciHandler) {
      this.#inner = inner;
    }

    onConnect(abort: (error?: Error) => void): void {
      running = this;
      this.#inner.onConnect?.(abort);
    }

    onHeaders(status: number, headers: Buffer[], resume: () => void, text: string): boolean {
      const wantsMore = this.#inner.onHeaders?.(status, headers, () => this.#resume(resume), text) !== false;
      this.isPaused = !wantsMore;
      return wantsMore;
    }

    onData(chunk: Buffer): boolean {
      const wantsMore = this.#inner.onData?.(chunk) !== false;
      this.isPaused = !wantsMore;
      return wantsMore;
    }

    onComplete(trailers: string[] | null): void {
      this.#end();
      this.#inner.onComplete?.(trailers);
    }

    onError(error: Error): void {
      this.#end();
      this.#inner.onError?.(error);
    }

    #resume(resume: () => void): void {
      if (!this.isPaused) return;
      this.isPaused = false;
      try {
        resume();
      } catch (thrown) {
        failConnection(asError(thrown));
      }
      // Its last bytes may have paused it again.
      if (!this.isPaused) releaseEnd();
    }

    #end(): void {
      this.isPaused = false;
      if (running === this) running = undefined;
    }
  }

  function attach(socket: Socket): void {
    const emit: (event: string | symbol, ...args: unknown[]) => boolean = socket.emit;
    const { destroy } = socket;
    let isHeld = false;
    let isDestroyPending = false;

    failConnection = (error) => void destroy.call(socket, error);
    releaseEnd = () => {
      if (!isHeld) return;
      isHeld = false;
      if (socket.destroyed) return;
      socket.emit("end");
      if (isDestroyPending) destroy.call(socket);
    };
    socket.emit = (event: string | symbol, ...args: unknown[]) => {
      if (event === "end" && running?.isPaused === true) {
        isHeld = true;
        return true;
      }
      try {
        return emit.call(socket, event, ...args);
      } catch (thrown) {
        const error = asError(thrown);
        if (event === "close") onBroken(error);
        // The destroyed socket reports the error to the request. If the close event itself failed, report it here.
        if (event === "close") running?.onError(error);
        else destroy.call(socket, error);
        return true;
      }
    };
    socket.destroy = (error?: Error) => {
      // Node destroys the socket itself when both sides have ended.
      isDestroyPending = isHeld && error === undefined;
      return isDestroyPending ? socket : destroy.call(socket, error);
    };
  }

  return { watch: (handler) => new WatchedHandler(handler), attach };
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

const NOTHING = Buffer.alloc(0);

/**
 * Makes `socket` fail with ECONNRESET if its `end` was a reset. When bytes and a reset arrive in one turn of the loop,
 * libuv (uv__stream_io: POLLHUP after a partial read) delivers the bytes and then an end. A truncated close-delimited
 * body would then pass for whole. The kernel still knows: a write of zero bytes fails with ECONNRESET after a reset,
 * and sends nothing after an end. Plain TCP only: TLS has an end of its own.
 */
export function reportResets(socket: Socket): void {
  const emit: (event: string | symbol, ...args: unknown[]) => boolean = socket.emit;
  socket.emit = (event: string | symbol, ...args: unknown[]) => {
    // Bytes still to be sent would have to be sent first, and may never be. This only happens if the origin responded
    // before it had the whole request.
    if (event !== "end" || !socket.writable || socket.writableLength > 0) return emit.call(socket, event, ...args);
    socket.write(NOTHING, (error) => {
      // EPIPE: the connection was ended first and reset later.
      if (error == null || !isReset(error)) emit.call(socket, event, ...args);
    });
    return true;
  };
}

const isReset = (error: Error) => "code" in error && error.code === "ECONNRESET";

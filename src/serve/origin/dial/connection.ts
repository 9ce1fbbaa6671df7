// Watches the connections of undici (7.30, client-h1.js). It detects that responses may not belong to their requests
// (desync), delays the end of a connection while a body is paused, and turns a false end into ECONNRESET.
import type { Socket } from "node:net";
import type { CancellationSource } from "../../../async/cancellation.ts";
import { HuiyuanError } from "../../../core/errors.ts";

/** The time for which an origin's connections are used once. Milliseconds. */
export const DISTRUST_MS = 600_000;
/** Bytes after this idle time are no response to anything: servers send 408 before they close. Milliseconds. */
const CLEAN_MS = 5_000;
/** The most recent responses of one connection that are reported; earlier ones are trusted. */
const MAX_TRACKED_RESPONSES = 64;

/** The keep-alive trust of one endpoint. `onLost`: called when it is lost, at most once in `DISTRUST_MS`. */
export class Trust {
  /** Connections are used once until then; performance.now(). */
  lostUntil = 0;
  readonly #onLost: () => void;

  constructor(onLost: () => void) {
    this.#onLost = onLost;
  }

  lose(): void {
    const wasLost = performance.now() < this.lostUntil;
    this.lostUntil = performance.now() + DISTRUST_MS;
    if (!wasLost) this.#onLost();
  }
}

/**
 * Tracks the responses of one connection in order. Signs of a desync are bytes without a request: a body after a 304, a
 * second response, a declared length that is too short. Earlier bytes of this kind may have passed for the response to
 * the next request. The origin then loses keep-alive for a while, and recent responses of the connection are reported.
 */
export class ConnectionTrust {
  readonly #trust: Trust;
  #answers = 0;
  /** The time of the last response's end, or of the connection's start. */
  #answeredAt = performance.now();
  #tracked: CancellationSource[] = [];

  constructor(trust: Trust) {
    this.#trust = trust;
  }

  /**
   * A final head has arrived. `desync` is cancelled if it may be the head of another response. The first one of a
   * connection is not tracked, because no response preceded it.
   */
  responseStarted(desync: CancellationSource | undefined): void {
    if (this.#answers === 0) return;
    if (this.#isClean()) this.#tracked = [];
    else if (this.#tracked.length === MAX_TRACKED_RESPONSES) this.#tracked.shift();
    if (desync !== undefined) this.#tracked.push(desync);
  }

  /** The response has ended properly. */
  responseEnded(): void {
    this.#answers += 1;
    this.#answeredAt = performance.now();
  }

  /**
   * The connection broke while no request was running. Bytes without a request report all tracked responses. After a
   * reset the server may not have read a request whose response was another's. Servers also reset for harmless reasons,
   * so only the last response is reported then.
   */
  brokeWhileIdle(error: Error): void {
    if (this.#isClean()) return;
    if (isReset(error)) this.#tracked.pop()?.cancel(undefined);
    if (error.message !== "bad response" && error.name !== "HTTPParserError") return;
    const desyncs = this.#tracked;
    this.#tracked = [];
    this.#trust.lose();
    for (const desync of desyncs) desync.cancel(undefined);
  }

  /**
   * Returns the error of a request. If bytes that are no head came in place of a response, the previous response most
   * likely left them behind. Another connection helps, as after a reset. If responses had been shifted, a valid one
   * would be here, so none is reported.
   */
  errorOf(error: Error): Error {
    const isNoHead = error.name === "HTTPParserError" && error.message.includes("Expected HTTP/"); // llhttp's message
    if (!isNoHead || this.#answers === 0) return error;
    this.#trust.lose();
    return new HuiyuanError("origin_reset", "Cannot use the connection: other bytes than a response came", {
      cause: error,
    });
  }

  #isClean(): boolean {
    return performance.now() - this.#answeredAt > CLEAN_MS;
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

/**
 * Wraps the handler of a request; the client gets the wrapped one. Both are of undici's older kind, because the pool
 * has converted the handler that it got. `desync`: as in responseStarted().
 */
export class WatchedHandler implements UndiciHandler {
  isPaused = false;
  readonly #watch: ClientWatch;
  readonly #inner: UndiciHandler;
  readonly #desync: CancellationSource | undefined;

  constructor(watch: ClientWatch, inner: UndiciHandler, desync: CancellationSource | undefined) {
    this.#watch = watch;
    this.#inner = inner;
    this.#desync = desync;
  }

  onConnect(abort: (error?: Error) => void): void {
    this.#watch.running = this;
    this.#inner.onConnect?.(abort);
  }

  onHeaders(status: number, headers: Buffer[], resume: () => void, text: string): boolean {
    if (status >= 200) this.#watch.connection?.responseStarted(this.#desync);
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
    this.#watch.connection?.responseEnded();
    this.#inner.onComplete?.(trailers);
  }

  onError(error: Error): void {
    const { running, connection } = this.#watch;
    this.#end();
    this.#inner.onError?.(running === this ? (connection?.errorOf(error) ?? error) : error);
  }

  #resume(resume: () => void): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    try {
      resume();
    } catch (thrown) {
      this.#watch.failConnection(asError(thrown));
    }
    // Its last bytes may have paused it again.
    if (!this.isPaused) this.#watch.releaseEnd();
  }

  #end(): void {
    this.isPaused = false;
    if (this.#watch.running === this) this.#watch.running = undefined;
  }
}

/**
 * Watches one client, which has one connection and one request at a time.
 * undici asserts in a socket event, where no caller can catch it, that no body is paused when its connection ends
 * (nodejs/undici#5360). It also takes no more bytes from a connection that it knows has ended. So the end is held back
 * until the body resumes. Any other throw in an event of the socket ends that connection only.
 */
export class ClientWatch {
  running: WatchedHandler | undefined;
  connection: ConnectionTrust | undefined;
  releaseEnd = () => {};
  failConnection = (_error: Error) => {};
  readonly #trust: Trust;
  readonly #onBroken: (error: Error) => void;

  /** `onBroken`: the client threw while it closed a connection, and must not get another. */
  constructor(trust: Trust, onBroken: (error: Error) => void) {
    this.#trust = trust;
    this.#onBroken = onBroken;
  }

  /** Call it with each connection of the client, before the client gets it. */
  attach(socket: Socket, isSecure: boolean): void {
    const emit: (event: string | symbol, ...args: unknown[]) => boolean = socket.emit;
    const { destroy } = socket;
    const attached = new ConnectionTrust(this.#trust);
    let isHeld = false;
    let isDestroyPending = false;

    this.connection = attached;
    this.failConnection = (error) => void destroy.call(socket, error);
    this.releaseEnd = () => {
      if (!isHeld) return;
      isHeld = false;
      if (socket.destroyed) return;
      socket.emit("end");
      if (isDestroyPending) destroy.call(socket);
    };
    socket.emit = (event: string | symbol, ...args: unknown[]) => {
      if (event === "end" && this.running?.isPaused === true) {
        isHeld = true;
        return true;
      }
      try {
        return emit.call(socket, event, ...args);
      } catch (thrown) {
        const error = asError(thrown);
        if (event === "close") this.#onBroken(error);
        // The destroyed socket reports the error to the request. If the close event itself failed, report it here.
        if (event === "close") this.running?.onError(error);
        else destroy.call(socket, error);
        return true;
      }
    };
    // undici destroys the socket for bytes without a request. Before it reuses an idle connection it waits one turn of
    // the loop, so bytes that the kernel has by then are seen.
    socket.destroy = (error?: Error) => {
      if (this.running === undefined && error) attached.brokeWhileIdle(error);
      // Node destroys the socket itself when both sides have ended.
      isDestroyPending = isHeld && !error;
      return isDestroyPending ? socket : destroy.call(socket, error && translateError(error));
    };
    if (!isSecure) reportResets(socket);
  }
}

/**
 * Replaces two errors, because undici acts wrongly on their codes.
 * ECONNRESET: in a close-delimited body undici takes it for the end, and asserts if the body is paused.
 * UND_ERR_INFO: for an aborted request undici takes it for "not sent yet", and dials for it again in vain. With
 * UND_ERR_SOCKET it drops that request, and requests that wait for an idle connection still get another one.
 */
function translateError(error: Error): Error {
  const code = "code" in error ? error.code : undefined;
  if (code === "UND_ERR_INFO")
    return Object.assign(new Error(error.message, { cause: error }), { code: "UND_ERR_SOCKET" });
  if (code !== "ECONNRESET") return error;
  return new HuiyuanError("origin_reset", `Cannot use the connection: ${error.message}`, { cause: error });
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
function reportResets(socket: Socket): void {
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

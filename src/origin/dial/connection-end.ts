// Corrects how undici (7.30, client-h1.js) sees the end of a connection: createEndHold() delays it while a body is paused,
// and reportResets() turns a false end into ECONNRESET. It opens no connection and reads no byte of a body.
import type { Socket } from "node:net";

/** A handler of undici's older kind, which a pool passes to its clients. */
interface UndiciHandler {
  onConnect?(abort: (error?: Error) => void): void;
  onHeaders?(status: number, headers: Buffer[], resume: () => void, text: string): boolean;
  onData?(chunk: Buffer): boolean;
  onComplete?(trailers: string[] | null): void;
  onError?(error: Error): void;
}

/** Of one client, which has one connection at a time and one request on it. */
export interface EndHold {
  /** What the client is given in place of `handler`, both of undici's older kind: a pool has translated what it was given. */
  watch(handler: UndiciHandler): UndiciHandler;
  /** Each connection of the client, before the client has it. */
  attach(socket: Socket): void;
}

/** `broken`: the client has thrown while it closed a connection, and may never use another. */
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
        // By that its request is told, unless it was just that which failed.
        if (event === "close") running?.onError(error);
        else destroy.call(socket, error);
        return true;
      }
    };
    socket.destroy = (error?: Error) => {
      // Node's own, when both sides have ended.
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

/** Makes `socket` fail with ECONNRESET in place of an `end` that is none. Plain TCP only: TLS has an end of its own. */
export function reportResets(socket: Socket): void {
  const emit: (event: string | symbol, ...args: unknown[]) => boolean = socket.emit;
  socket.emit = (event: string | symbol, ...args: unknown[]) => {
    // What is still being sent would have to go first, and may never go; only a request that was answered too soon is.
    if (event !== "end" || !socket.writable || socket.writableLength > 0) return emit.call(socket, event, ...args);
    socket.write(NOTHING, (error) => {
      // EPIPE: it was ended, and reset after that.
      if (error == null || !isReset(error)) emit.call(socket, event, ...args);
    });
    return true;
  };
}

const isReset = (error: Error) => "code" in error && error.code === "ECONNRESET";

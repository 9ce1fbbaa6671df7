// undici (7.30, client-h1.js) asserts, in an event of the socket where nobody can catch it, that a body is not paused when its connection
// ends (nodejs/undici#5360), and takes nothing more from one that it knows to have ended. So the end is kept from it until the body
// goes on. Whatever else it throws there ends that connection and nothing more. No other I/O.
import type { Socket } from "node:net";
import type { Dispatcher } from "./dialer.ts";

/** Of one client, which has one connection at a time and one request on it. */
export interface EndHold {
  /** What the client is given in place of `handler`, both of undici's older kind: a pool has translated what it was given. */
  watch(handler: Dispatcher.DispatchHandler): Dispatcher.DispatchHandler;
  /** Each connection of the client, before the client has it. */
  attach(socket: Socket): void;
}

/** `broken`: the client has thrown while it closed a connection, and may never use another. */
export function createEndHold(broken: (error: Error) => void): EndHold {
  let running: WatchedHandler | undefined;
  let letGo = () => {};
  let breakOff = (_error: Error) => {};

  class WatchedHandler implements Dispatcher.DispatchHandler {
    isPaused = false;
    readonly #inner: Dispatcher.DispatchHandler;

    constructor(inner: Dispatcher.DispatchHandler) {
      this.#inner = inner;
    }

    onConnect(abort: (error?: Error) => void): void {
      running = this;
      this.#inner.onConnect?.(abort);
    }

    onHeaders(status: number, headers: Buffer[], resume: () => void, text: string): boolean {
      const goesOn = this.#inner.onHeaders?.(status, headers, () => this.#resume(resume), text) !== false;
      this.isPaused = !goesOn;
      return goesOn;
    }

    onData(chunk: Buffer): boolean {
      const goesOn = this.#inner.onData?.(chunk) !== false;
      this.isPaused = !goesOn;
      return goesOn;
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
        breakOff(asError(thrown));
      }
      // Its last bytes may have paused it again.
      if (!this.isPaused) letGo();
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
    let isOver = false;

    breakOff = (error) => void destroy.call(socket, error);
    letGo = () => {
      if (!isHeld) return;
      isHeld = false;
      if (socket.destroyed) return;
      socket.emit("end");
      if (isOver) destroy.call(socket);
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
        if (event === "close") broken(error);
        // By that its request is told, unless it was just that which failed.
        if (event === "close") running?.onError(error);
        else destroy.call(socket, error);
        return true;
      }
    };
    socket.destroy = (error?: Error) => {
      // Node's own, when both sides have ended.
      isOver = isHeld && error === undefined;
      return isOver ? socket : destroy.call(socket, error);
    };
  }

  return { watch: (handler) => new WatchedHandler(handler), attach };
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

// undici (7.30, client-h1.js) asserts, out of everybody's reach, that a body is not paused when its connection ends, and takes
// nothing more from one that it knows to have ended. So the end is kept from it until the body goes on. No other I/O.
import type { Socket } from "node:net";
import type { Dispatcher } from "./dialer.ts";

/** `running`: of the request whose answer the connection carries. */
export function holdEnd(socket: Socket, running: () => Dispatcher.DispatchController | undefined): void {
  const emit: (event: string | symbol, ...args: unknown[]) => boolean = socket.emit;
  const { destroy } = socket;
  let isHeld = false;
  let isOver = false;

  function hold(controller: Dispatcher.DispatchController): void {
    isHeld = true;
    const { resume } = controller;
    controller.resume = () => {
      resume.call(controller);
      // Its last bytes may have paused it again.
      if (isHeld && !controller.paused) letGo();
    };
  }

  function letGo(): void {
    isHeld = false;
    if (socket.destroyed) return;
    emit.call(socket, "end");
    if (isOver) destroy.call(socket);
  }

  socket.emit = (event: string | symbol, ...args: unknown[]) => {
    const controller = event === "end" ? running() : undefined;
    if (controller?.paused !== true) return emit.call(socket, event, ...args);
    hold(controller);
    return true;
  };
  socket.destroy = (error?: Error) => {
    // Node's own, when both sides have ended.
    isOver = isHeld && error === undefined;
    return isOver ? socket : destroy.call(socket, error);
  };
}

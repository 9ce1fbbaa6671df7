// A TCP proxy that a test turns off and on while connections go through it: what a remote service looks like that falls
// silent, or whose machine is gone. Bytes are otherwise passed on as they are (test/fault/proxy.ts bends them).
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** `pass`; `hang`: accepted and silent, also on what is open already; `refuse`: what is open is cut, and all that comes. */
export type SwitchMode = "pass" | "hang" | "refuse";

export interface SwitchProxy {
  readonly port: number;
  turn(mode: SwitchMode): void;
  close(): Promise<void>;
}

export async function startSwitchProxy(targetPort: number): Promise<SwitchProxy> {
  const pairs = new Set<readonly [client: Socket, target: Socket]>();
  let mode: SwitchMode = "pass";

  function cut(): void {
    for (const pair of pairs) for (const socket of pair) socket.destroy();
  }

  const server = createServer((client) => {
    if (mode === "refuse") {
      client.resetAndDestroy();
      return;
    }
    const target = connect(targetPort, "127.0.0.1");
    const pair = [client, target] as const;
    pairs.add(pair);
    const end = () => {
      pairs.delete(pair);
      client.destroy();
      target.destroy();
    };
    for (const [from, to] of [pair, [target, client] as const]) {
      from.on("error", end);
      from.on("close", end);
      from.on("data", (bytes) => {
        if (mode === "pass" && !to.write(bytes)) {
          from.pause();
          to.once("drain", () => from.resume());
        }
      });
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");

  return {
    port: (server.address() as AddressInfo).port, // a TCP server's address is never a string
    turn(next) {
      // Bytes were lost: what is open can never go on.
      if (mode === "hang" || next === "refuse") cut();
      mode = next;
    },
    async close() {
      const closed = once(server, "close");
      server.close();
      cut();
      await closed;
    },
  };
}

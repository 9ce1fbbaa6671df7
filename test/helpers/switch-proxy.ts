// A TCP proxy that a test switches off and on while connections use it. It imitates a remote service that goes silent
// or whose machine is down. Otherwise it forwards bytes unmodified (test/fault/proxy.ts modifies them).
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** `pass`: forward. `hang`: accept and stay silent, on open connections too. `refuse`: cut open and new connections. */
export type SwitchMode = "pass" | "hang" | "refuse";

export interface SwitchProxy {
  readonly port: number;
  turn(mode: SwitchMode): void;
  /** Holds the target's bytes back for so many milliseconds. */
  slow(ms: number): void;
  close(): Promise<void>;
}

export async function startSwitchProxy(targetPort: number): Promise<SwitchProxy> {
  const pairs = new Set<readonly [client: Socket, target: Socket]>();
  let mode: SwitchMode = "pass";
  let slowMs = 0;

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
      const forward = (bytes: Buffer) => {
        if (mode === "pass" && !to.write(bytes)) {
          from.pause();
          to.once("drain", () => from.resume());
        }
      };
      from.on("data", (bytes) => {
        if (from === target && slowMs > 0) setTimeout(forward, slowMs, bytes);
        else forward(bytes);
      });
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");

  return {
    port: (server.address() as AddressInfo).port, // a TCP server's address is never a string
    turn(next) {
      // Bytes were lost, so open connections can never continue.
      if (mode === "hang" || next === "refuse") cut();
      mode = next;
    },
    slow(ms) {
      slowMs = ms;
    },
    async close() {
      const closed = once(server, "close");
      server.close();
      cut();
      await closed;
    },
  };
}

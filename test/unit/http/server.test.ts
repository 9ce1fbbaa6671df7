// The listening socket itself; what is answered on it is tested with the whole program.
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { expect, test } from "vitest";
import { startServer } from "../../../src/http/server.ts";

const BURST = 1_000;
const SOCKETS = "/proc/net/tcp";
const KERNEL_BOUND = "/proc/sys/net/core/somaxconn";
const isTold = existsSync(SOCKETS) && existsSync(KERNEL_BOUND) && Number(readFileSync(KERNEL_BOUND, "latin1")) >= BURST;

/** Connections that the kernel has taken and the program not yet: the receive queue of a listening socket. */
function waitingAt(port: number): number {
  const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const listening = readFileSync(SOCKETS, "latin1")
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .find(([, address, , state]) => address === local && state === "0A");
  return Number.parseInt(listening?.[4]?.split(":")[1] ?? "", 16);
}

// Beyond its backlog the kernel drops a connection's first packet, and the client tries again after 1, 3 and 7 s.
test.runIf(isTold)(`startServer() has room for ${BURST} clients that come back at once`, async () => {
  const server = await startServer({ host: "127.0.0.1", port: 0, listener: () => {}, nextRequestId: () => "test" });
  const clients = Array.from({ length: BURST }, () => connect(server.port, "127.0.0.1"));
  try {
    // Connecting is done in earlier callbacks of this kind, accepting only when this turn of the loop is over.
    await new Promise<void>((resolve) => process.nextTick(resolve));
    expect(waitingAt(server.port)).toBe(BURST);
    await Promise.all(clients.map((client) => once(client, "connect")));
  } finally {
    for (const client of clients) client.destroy();
    await server.stop(0);
  }
});

// Bounds the connections of the admin port on which no request had a session or the token yet. Beyond the bound an
// older one closes, so a flood of them locks out neither operators, health checks nor Prometheus.
import type { Socket } from "node:net";
import { clientOfAddress } from "../../serve/http/request/client-address.ts";

export interface ConnectionLimit {
  /** Counts a new connection; beyond MAX_CONNECTIONS it closes the oldest one of the busiest address. */
  open(socket: Socket): void;
  /** Stops counting the connection, because a request on it had a session or the token. */
  release(socket: Socket | undefined): void;
}

const MAX_CONNECTIONS = 256;
/** The connections of one browser. Addresses with up to this many of them count as equally busy. */
const BROWSER_CONNECTIONS = 6;

export function createConnectionLimit(): ConnectionLimit {
  /** With the client's address, or its IPv6 /64. Oldest first; at most MAX_CONNECTIONS after each open(). */
  const counted = new Map<Socket, string>();

  function closeOne(): void {
    const counts = new Map<string, number>();
    for (const client of counted.values()) counts.set(client, (counts.get(client) ?? 0) + 1);
    const busiest = Math.max(...counts.values());
    for (const [socket, client] of counted) {
      if (Math.max(counts.get(client) ?? 0, BROWSER_CONNECTIONS) < busiest) continue;
      counted.delete(socket);
      socket.destroy();
      return;
    }
  }

  return {
    open(socket) {
      counted.set(socket, clientOfAddress(socket.remoteAddress ?? ""));
      socket.once("close", () => counted.delete(socket));
      if (counted.size > MAX_CONNECTIONS) closeOne();
    },
    release(socket) {
      if (socket !== undefined) counted.delete(socket);
    },
  };
}

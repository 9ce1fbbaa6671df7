// The listening socket itself; what is answered on it is tested with the whole program.
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { type DownloadResponse, nodeResponse } from "../../../src/http/response.ts";
import { startServer } from "../../../src/http/server.ts";
import { eventually, within } from "../../helpers/program.ts";

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

describe.each([
  ["in the lane", ""],
  // An empty line before the request is allowed, and not plain.
  ["where node's server answers", "\r\n"],
])("stop() %s", (_where, before) => {
  const request = `${before}GET / HTTP/1.1\r\nHost: a.example\r\n\r\n`;

  function serve(answered: () => Promise<void>) {
    const answer = async (response: DownloadResponse) => {
      await answered();
      response.writeHead(200, ["Content-Length", "2"]);
      response.end(Buffer.from("ok"));
    };
    return startServer({
      host: "127.0.0.1",
      port: 0,
      nextRequestId: () => "test",
      listener: (_request, response) => void answer(nodeResponse(response)),
      lane: { listener: (_request, response) => void answer(response), takes: () => true },
    });
  }

  /** Asks again as soon as it is answered, until it is told that the connection ends. `answered`: each time. */
  async function busyClient(port: number, answered: () => void): Promise<string> {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    let last = "";
    socket.on("data", (bytes: Buffer) => {
      last += bytes.toString("latin1");
      if (!last.endsWith("\r\n\r\nok") || /^Connection: close\r$/m.test(last)) return;
      answered();
      last = "";
      socket.write(request);
    });
    socket.write(request);
    // Rejects with ECONNRESET where the connection is reset.
    await once(socket, "end");
    return last;
  }

  test.each([
    ["", 0],
    [", nor one that has come while the program was busy until the first sweep", 150],
  ])("tells busy clients that the connection ends, and loses no request of theirs%s", async (_what, busyMs) => {
    const server = await serve(() => delay(1));
    const busy = new Set<number>();
    const clients = Array.from({ length: 20 }, (_, index) => busyClient(server.port, () => busy.add(index)));
    // What the kernel alone has accepted is reset with the listening socket.
    await eventually(() => busy.size === clients.length, "all are busy");
    const stopped = server.stop(5_000);
    for (const until = performance.now() + busyMs; performance.now() < until; );
    for (const last of await within(Promise.all(clients), 5_000, () => "a connection did not end")) {
      expect(last).toMatch(/^HTTP\/1\.1 200 OK\r\n.*^Connection: close\r\n\r\nok$/ms);
    }
    await within(stopped, 2_000, () => "it did not stop");
  });

  test("passes over what is sent behind the last answer, and waits for nobody who sends on", async () => {
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const server = await serve(() => released);
    const socket = connect({ port: server.port, host: "127.0.0.1", noDelay: true });
    let received = "";
    socket.on("data", (bytes: Buffer) => {
      received += bytes.toString("latin1");
    });
    socket.on("error", () => {}); // the end of the grace
    const closed = once(socket, "close");
    socket.write(request);
    await delay(50);
    socket.write(request);
    await delay(50);
    const stopped = server.stop(1_000);
    release();
    const sending = setInterval(() => socket.write(request), 50);
    await within(Promise.all([stopped, closed]), 3_000, () => "it did not stop");
    clearInterval(sending);
    expect(received.match(/^HTTP\/1\.1 /gm)).toHaveLength(1);
    expect(received).toMatch(/^Connection: close\r\n\r\nok$/m);
  });
});

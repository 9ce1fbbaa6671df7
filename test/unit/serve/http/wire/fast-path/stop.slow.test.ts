// stop() while connections are on the fast path, and while they are at node's server.
import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { DownloadResponse } from "../../../../../../src/serve/http/request/download-response.ts";
import { NodeResponse } from "../../../../../../src/serve/http/request/exchange.ts";
import { createFastPath } from "../../../../../../src/serve/http/wire/fast-path/fast-path.ts";
import { startServer } from "../../../../../../src/serve/http/wire/server.ts";
import { eventually, within } from "../../../../../helpers/program.ts";

describe.each([
  ["on the fast path", ""],
  // An empty line before the request is allowed, but not plain.
  ["at node's server", "\r\n"],
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
      listener: (_request, response) => void answer(new NodeResponse(response)),
      accept: createFastPath({ listener: (_request, response) => void answer(response), takes: () => true }),
    });
  }

  /** Sends a request after each response, until one has `Connection: close`. `answered`: called after each response. */
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
    // Rejects with ECONNRESET if the connection is reset.
    await once(socket, "end");
    return last;
  }

  test.each([
    ["", 0],
    [", nor one that arrived while the program was busy", 150],
  ])(
    "ends the connections of busy clients with `Connection: close`, and loses no request of theirs%s",
    async (_what, busyMs) => {
      const server = await serve(() => delay(1));
      const busy = new Set<number>();
      const clients = Array.from({ length: 20 }, (_, index) => busyClient(server.port, () => busy.add(index)));
      // Connections that only the kernel has accepted are reset with the listening socket.
      await eventually(() => busy.size === clients.length, "all are busy");
      const stopped = server.stop(60_000);
      for (const until = performance.now() + busyMs; performance.now() < until; );
      for (const last of await within(Promise.all(clients), 30_000, () => "a connection did not end")) {
        expect(last).toMatch(/^HTTP\/1\.1 200 OK\r\n.*^Connection: close\r\n\r\nok$/ms);
      }
      await within(stopped, 30_000, () => "it did not stop");
    },
  );

  test("answers one more request of an idle connection within a second", async () => {
    const server = await serve(async () => {});
    const socket = connect({ port: server.port, host: "127.0.0.1", noDelay: true });
    let received = "";
    socket.on("data", (bytes: Buffer) => {
      received += bytes.toString("latin1");
    });
    socket.write(request);
    await eventually(() => received.endsWith("ok"), "the first answer");
    received = "";
    const stopped = server.stop(60_000);
    await delay(300);
    const closed = once(socket, "close");
    socket.write(request);
    await within(Promise.all([stopped, closed]), 30_000, () => "it did not stop");
    expect(received).toMatch(/^HTTP\/1\.1 200 OK\r\n.*^Connection: close\r\n\r\nok$/ms);
  });

  test("closes idle connections after a second, and ends at once without connections", async () => {
    const server = await serve(async () => {});
    const socket = connect({ port: server.port, host: "127.0.0.1" });
    socket.write(request);
    await once(socket, "data");
    const began = performance.now();
    const alone = await serve(async () => {});
    const stopped = [server.stop(60_000).then(() => "idle"), alone.stop(60_000).then(() => "alone")];
    expect(await Promise.race(stopped)).toBe("alone");
    await within(Promise.all([...stopped, once(socket, "close")]), 30_000, () => "it did not stop");
    expect(performance.now() - began).toBeGreaterThan(900);
  });

  test("ignores input after the last response, and does not wait for a client that keeps sending", async () => {
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

import { expect, test } from "vitest";
import type { DownloadResponse } from "../../../../src/http/response/response.ts";
import { createFront } from "../../../../src/http/wire/front.ts";
import { startServer } from "../../../../src/http/wire/server.ts";
import { sendRaw } from "../../../helpers/raw.ts";

const REQUESTS = 40;

test("createFront() leaves no timer for a body that was read while its request waited", async () => {
  const timers = () => process.getActiveResourcesInfo().filter((resource) => resource === "Timeout").length;
  const waiting: DownloadResponse[] = [];
  const server = await startServer({
    host: "127.0.0.1",
    port: 0,
    nextRequestId: () => "id",
    listener: createFront({
      restApi: { answer: () => false },
      download(_request, response) {
        waiting.push(response);
        setImmediate(() => response.end());
      },
    }),
  });
  try {
    const before = timers();
    const request = "GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n";
    await sendRaw(server.port, request.repeat(REQUESTS), 300);
    expect(waiting).toHaveLength(REQUESTS);
    expect(timers() - before).toBeLessThan(5);
  } finally {
    await server.stop(0);
  }
});

import { expect, test } from "vitest";
import { startServer } from "../../../../src/http/wire/server.ts";
import { limitUnusedBody } from "../../../../src/http/wire/unused-body.ts";
import { sendRaw } from "../../../helpers/raw.ts";

const REQUESTS = 40;

test("limitUnusedBody() leaves no timer for a body that was read while its request waited", async () => {
  const timers = () => process.getActiveResourcesInfo().filter((resource) => resource === "Timeout").length;
  let answered = 0;
  const server = await startServer({
    host: "127.0.0.1",
    port: 0,
    nextRequestId: () => "id",
    listener(request, response) {
      limitUnusedBody(request, response);
      answered += 1;
      setImmediate(() => response.end());
    },
  });
  try {
    const before = timers();
    const request = "GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n";
    await sendRaw(server.port, request.repeat(REQUESTS), 300);
    expect(answered).toBe(REQUESTS);
    expect(timers() - before).toBeLessThan(5);
  } finally {
    await server.stop(0);
  }
});

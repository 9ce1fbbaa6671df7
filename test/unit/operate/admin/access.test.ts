// Wrong admin tokens over time. test/e2e/console-access.test.ts has the rest of access.ts.
import { Hono } from "hono";
import { expect, test } from "vitest";
import { SILENT_LOG } from "../../../../src/core/log.ts";
import { createAccess } from "../../../../src/operate/admin/access.ts";
import type { ApiEnv } from "../../../../src/operate/admin/calls.ts";
import type { Operation } from "../../../../src/operate/admin/operation.ts";

function serve() {
  const recorded: Operation[] = [];
  const clock = { now: 0 };
  const access = createAccess({
    token: () => "right",
    trustedProxies: () => [],
    operations: { record: (operation) => void recorded.push(operation) },
    clock: () => clock.now,
    log: SILENT_LOG,
  });
  const app = new Hono<ApiEnv>();
  app.use(access.guard);
  app.get("/x", (context) => context.text("open"));
  const ask = async (token: string) =>
    (await app.request("/x", { headers: { authorization: `Bearer ${token}` } }, {})).status;
  return { recorded, clock, ask };
}

test("wrong tokens are answered 401 again after 30 s without one", async () => {
  const { clock, ask } = serve();
  const statuses: number[] = [];
  for (let count = 0; count < 5; count += 1) statuses.push(await ask("wrong"));
  expect(statuses).toEqual([401, 401, 401, 401, 401]);
  clock.now = 29_999;
  expect(await ask("wrong")).toBe(429);
  clock.now = 59_999;
  expect([await ask("wrong"), await ask("right")]).toEqual([401, 200]);
});

test("a flood of wrong tokens is one entry a second in the operation log, with their number", async () => {
  const { recorded, clock, ask } = serve();
  for (let count = 0; count < 3; count += 1) await ask("wrong");
  clock.now = 999;
  await ask("wrong");
  expect(recorded).toMatchObject([
    { operation: "login", code: -81, url: "/x", at: expect.any(Number), client: "this machine" },
  ]);
  clock.now = 1_000;
  await ask("wrong");
  expect(recorded.map(({ message }) => message)).toEqual([
    "wrong admin token, number 1 in a row",
    "wrong admin token, number 5 in a row",
  ]);
});

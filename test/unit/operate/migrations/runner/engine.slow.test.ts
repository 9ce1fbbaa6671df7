// The engine with steps of the tests: its pace after congestion, its retries, and what it takes at once.
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { refusedError, transportError } from "../../../../../src/client/api/client-error.ts";
import { HuiyuanError } from "../../../../../src/core/errors.ts";
import { createEngine, type EngineOptions } from "../../../../../src/operate/migrations/runner/engine.ts";

const NEVER = new AbortController().signal;
const OPTIONS: EngineOptions = {
  ...{ concurrency: 16, requestsPerSecond: 0, bytesPerSecond: 0, retries: 0 },
  ...{ timeoutMs: 60_000, maxBytes: 1_000, stop: NEVER, kill: NEVER },
};
const QUIET = { settle: () => undefined, flush: () => undefined };
const DONE = { outcome: "stored", bytes: 0 };

async function* items(count: number) {
  for (let index = 0; index < count; index += 1) yield { fileid: `${index}`, size: 1 };
}

const origin = (originStatus: number) => new HuiyuanError("origin_status", "Cannot use", { originStatus });
const refused = (code: number, httpStatus: number) =>
  refusedError({ code, httpStatus, message: "refused", requestId: undefined });

test.each([
  ["a source that answers 429", origin(429)],
  ["a source that answers 503", origin(503)],
  ["a source that times out", new HuiyuanError("origin_timeout", "Cannot fetch")],
  ["a REST API that limits the rate", refused(-71, 429)],
  ["a REST API that fails", refused(-1, 502)],
  ["a REST API that times out", transportError("timed_out", "Cannot call")],
  ["a server that is busy", new HuiyuanError("overloaded", "the server answered 429")],
])("%s halves what is in flight", async (_what, error) => {
  const engine = createEngine(OPTIONS);
  const inFlight: number[] = [];
  let running = 0;
  const step = async ({ fileid }: { fileid: string }) => {
    running += 1;
    if (Number(fileid) >= 16) inFlight.push(running);
    await delay(20);
    running -= 1;
    if (Number(fileid) < 16) throw error;
    return DONE;
  };
  await engine.run(items(24), { ...QUIET, step });
  expect(Math.max(...inFlight)).toBeLessThanOrEqual(8);
  expect(engine.abortReason).toBeUndefined();
});

test("an object that is broken leaves the pace as it is", async () => {
  const engine = createEngine(OPTIONS);
  let [running, most] = [0, 0];
  const step = async ({ fileid }: { fileid: string }) => {
    running += 1;
    if (Number(fileid) >= 16) most = Math.max(most, running);
    await delay(20);
    running -= 1;
    if (Number(fileid) < 16) throw new HuiyuanError("origin_not_image", "Cannot use");
    return DONE;
  };
  await engine.run(items(48), { ...QUIET, step });
  expect(most).toBe(16);
});

test("an outage of a second fails no more objects than are in flight, and does not end the run", async () => {
  const engine = createEngine({ ...OPTIONS, concurrency: 100, retries: 2 });
  const until = performance.now() + 1_000;
  const found: unknown[] = [];
  const step = async () => {
    await delay(1);
    if (performance.now() < until) throw new HuiyuanError("origin_refused", "Cannot fetch");
    return DONE;
  };
  await engine.run(items(2_000), { ...QUIET, step, settle: (_item, result) => found.push(result) });
  expect(engine.abortReason).toBeUndefined();
  expect(found.filter((result) => result !== DONE).length).toBeLessThanOrEqual(100);
  expect(found.length).toBe(2_000);
});

test.each([
  ["ends the run once nothing has succeeded for some time", 20],
  ["does not end the run before", 60_000],
])("a source that is down %s", async (_what, outageMs) => {
  const engine = createEngine(OPTIONS, 0, outageMs);
  let settled = 0;
  const step = async () => {
    await delay(1);
    throw new HuiyuanError("origin_refused", "Cannot fetch");
  };
  const settle = () => {
    settled += 1;
  };
  await engine.run(items(300), { ...QUIET, step, settle });
  if (outageMs === 60_000) expect([settled, engine.abortReason]).toEqual([300, undefined]);
  else {
    expect(engine.abortReason?.message).toContain("do not answer");
    expect(settled).toBeGreaterThanOrEqual(100);
    expect(settled).toBeLessThan(300);
  }
});

test("refused credentials end the run, and the object has no failure", async () => {
  const refusal = new HuiyuanError("settings_invalid", "The target refuses the credentials");
  const engine = createEngine(OPTIONS);
  const settle = () => expect.unreachable();
  await engine.run(items(100), { ...QUIET, step: () => Promise.reject(refusal), settle });
  expect(engine.abortReason).toBe(refusal);
});

test("a pause before a retry doubles", async () => {
  const engine = createEngine({ ...OPTIONS, retries: 3 }, 40);
  const at: number[] = [];
  const step = async () => {
    at.push(performance.now());
    throw origin(503);
  };
  await engine.run(items(1), { ...QUIET, step });
  const pauses = at.slice(1).map((time, index) => time - at[index]!);
  for (const [index, pause] of pauses.entries()) expect(pause).toBeGreaterThanOrEqual(40 * 2 ** index - 2);
  expect(pauses.length).toBe(3);
});

test("no more objects are taken than run at once, so that memory does not grow with their number", async () => {
  const engine = createEngine(OPTIONS);
  let [taken, done] = [0, 0];
  async function* counted() {
    for await (const item of items(2_000)) {
      taken += 1;
      expect(taken - done).toBeLessThanOrEqual(17);
      yield item;
    }
  }
  const step = async () => {
    await delay(0);
    return DONE;
  };
  const settle = () => {
    done += 1;
  };
  await engine.run(counted(), { ...QUIET, step, settle });
  expect(done).toBe(2_000);
});

// Tests how an origin's outcomes change its breaker and its budget.

import { beforeEach, describe, expect, test } from "vitest";
import { createSemaphore, type Semaphore } from "../../../../../src/async/semaphore.ts";
import { ERROR_CODES, type ErrorCode, HuiyuanError } from "../../../../../src/core/errors.ts";
import { SILENT_LOG } from "../../../../../src/core/log.ts";
import { type Breaker, createBreaker } from "../../../../../src/serve/origin/guard/breaker.ts";
import { type Budget, createBudget } from "../../../../../src/serve/origin/guard/budget.ts";
import { guardOrigin, reportOf } from "../../../../../src/serve/origin/guard/guarded.ts";
import { createOriginRecord, type OriginRecord } from "../../../../../src/serve/origin/guard/record.ts";
import type { Origin, OriginAnswer, OriginSink } from "../../../../../src/serve/origin/origin.ts";
import {
  absent,
  arriving,
  failing,
  fakeOrigin,
  image,
  notModified,
  type Reply,
} from "../../../../helpers/fake-origins.ts";
import { ask, gather } from "../../../../helpers/site-under-test.ts";

const bytes = Buffer.from("bytes");
const VALIDATORS = { etag: '"1"', lastModified: undefined };
const KEYS = ["a.jpg", "b.jpg", "c.jpg"];
let clock: { now: number };
let breaker: Breaker;
let budget: Budget;
let fetches: Semaphore;
let record: OriginRecord;

beforeEach(() => {
  clock = { now: 0 };
  fetches = createSemaphore(100);
  const now = () => clock.now;
  const rules = { failures: 3, withinMs: 10_000, openMs: 1_000 };
  record = createOriginRecord({ name: "a", now, time: now });
  breaker = createBreaker({ rules, name: "a", now, log: SILENT_LOG });
  budget = createBudget({
    rules: { connections: 2, requestsPerSecond: 0 },
    fetches,
    name: "a",
    now,
    log: SILENT_LOG,
  });
});

const guarded = (...replies: readonly Reply[]): Origin =>
  guardOrigin(fakeOrigin(...replies), { breaker, budget, record, waitMs: 50 });

async function fetched(origin: Origin, key: string): Promise<OriginAnswer> {
  const answer = await origin.fetch(ask(key));
  if (answer === undefined || answer.isNotModified) throw new Error("a body was wanted");
  return answer;
}

const DOWN: readonly ErrorCode[] = [
  "origin_timeout",
  "origin_refused",
  "origin_reset",
  "origin_tls",
  "origin_name_unknown",
  "origin_dns_timeout",
  "origin_dns_failed",
];

test.each(ERROR_CODES.map((code) => [code, DOWN.includes(code) ? "open" : "closed"] as const))(
  "three failures of %s leave the breaker %s",
  async (code, state) => {
    const origin = guarded(failing(code));
    for (const key of KEYS.slice(1)) await expect(origin.fetch(ask(key))).rejects.toMatchObject({ code });
    // The failure that opens the breaker reads like those that follow.
    const last = state === "open" ? { code: "origin_failing", retryAfterSeconds: 1, cause: { code } } : { code };
    await expect(origin.fetch(ask("a.jpg"))).rejects.toMatchObject(last);
    expect(breaker.state).toBe(state);
    expect(budget.usage().running).toBe(0);
  },
);

test.each([
  [400, "closed"],
  [404, "closed"],
  [429, "closed"],
  [500, "open"],
  [503, "open"],
] as const)("three answers of status %i leave the breaker %s", async (originStatus, state) => {
  const origin = guarded(failing("origin_status", { originStatus }));
  for (const key of KEYS) await origin.fetch(ask(key)).catch(() => undefined);
  expect(breaker.state).toBe(state);
});

describe("a slot of the budget", () => {
  test("is released when the body ends, fails or is destroyed", async () => {
    const bodies = [arriving(), arriving(), arriving()];
    const origin = guarded(...bodies.map((body) => body.reply));
    const [whole, broken] = bodies;

    const first = await fetched(origin, "a.jpg");
    const second = await fetched(origin, "b.jpg");
    expect(budget.usage().running).toBe(2);
    whole?.send(bytes);
    whole?.end();
    expect((await gather(first.body)).bytes).toEqual(bytes);
    expect(budget.usage().running).toBe(1);

    broken?.fail(new HuiyuanError("origin_truncated", "cut"));
    expect((await gather(second.body)).error).toMatchObject({ code: "origin_truncated" });
    expect(budget.usage().running).toBe(0);

    const third = await fetched(origin, "c.jpg");
    expect(budget.usage().running).toBe(1);
    third.body.destroy();
    third.body.destroy();
    await third.body.over;
    expect(budget.usage().running).toBe(0);
  });

  test("is released after a response without a body", async () => {
    expect(await guarded(absent).fetch(ask("a.jpg"))).toBeUndefined();
    expect(await guarded(notModified()).fetch(ask("a.jpg", { unless: VALIDATORS }))).toMatchObject({
      isNotModified: true,
    });
    expect(budget.usage().running).toBe(0);
  });

  test("that is not free in time is overloaded, and does not count as a failure of the origin", async () => {
    const hanging = arriving();
    const origin = guarded(hanging.reply);
    await origin.fetch(ask("a.jpg"));
    await origin.fetch(ask("b.jpg"));
    const late = KEYS.map((key) => expect(origin.fetch(ask(key))).rejects.toMatchObject({ code: "overloaded" }));
    await Promise.all(late);
    expect(breaker.state).toBe("closed");
  });
});

test("stalled bodies open the breaker, truncated ones do not", async () => {
  for (const [code, state] of [
    ["origin_truncated", "closed"],
    ["origin_timeout", "open"],
  ] as const) {
    for (const key of KEYS) {
      const body = arriving();
      const answer = await fetched(guarded(body.reply), key);
      body.fail(new HuiyuanError(code, "no more"));
      expect((await gather(answer.body)).error).toMatchObject({ code });
    }
    expect(breaker.state).toBe(state);
  }
});

test("bodies that this side did not read in time do not count as failures of the origin", async () => {
  for (const key of KEYS) {
    const body = arriving();
    const answer = await fetched(guarded(body.reply), key);
    body.fail(new HuiyuanError("store_failed", "not taken"));
    await gather(answer.body);
  }
  expect([breaker.state, budget.usage().running]).toEqual(["closed", 0]);
});

test("the guard passes the body through unchanged, with its pauses", async () => {
  const body = arriving();
  const answer = await fetched(guarded(body.reply), "a.jpg");
  const heard: string[] = [];
  const sink: OriginSink = {
    data: (chunk) => heard.push(chunk.toString()) !== 1,
    end: () => void heard.push("END"),
    error: () => void heard.push("ERROR"),
  };
  answer.body.start(sink);
  for (const piece of ["one", "two"]) body.send(Buffer.from(piece));
  body.end();
  expect(heard).toEqual(["one"]);
  answer.body.resume();
  expect(heard).toEqual(["one", "two", "END"]);
});

describe("a probe", () => {
  beforeEach(async () => {
    const dead = guarded(failing("origin_refused"));
    for (const key of KEYS) await dead.fetch(ask(key)).catch(() => undefined);
    clock.now += 1_000;
  });

  test.each<[string, Reply, string]>([
    ["an image", image(bytes), "closed"],
    ["an absence", absent, "closed"],
    ["a refusal", failing("origin_status", { originStatus: 403 }), "closed"],
    ["a response that may not be used", failing("origin_redirect"), "closed"],
    ["its own error", failing("origin_status", { originStatus: 500 }), "open"],
    ["a timeout", failing("origin_timeout"), "open"],
    ["no outcome, because this server stops", failing("draining"), "half-open"],
  ])("with the outcome %s leaves the breaker %s", async (_, reply, state) => {
    await guarded(reply)
      .fetch(ask("a.jpg"))
      .catch(() => undefined);
    expect(breaker.state).toBe(state);
  });

  test("is one request; the others are refused at once", async () => {
    const body = arriving();
    let answer!: (value: undefined) => void;
    const origin = guarded(() => new Promise((resolve) => (answer = resolve)), body.reply);
    const probing = origin.fetch(ask("a.jpg"));
    await expect(origin.fetch(ask("b.jpg"))).rejects.toMatchObject({ code: "origin_failing" });
    answer(undefined);
    await probing;
    expect((await fetched(origin, "b.jpg")).body).toBeDefined();
  });
});

test.each([
  [429, 3, 3_000],
  [503, 3, 3_000],
  [500, 3, 0],
  [403, 3, 0],
  [429, undefined, 0],
])("status %i with Retry-After %s pauses the origin for %d ms", async (originStatus, seconds, expected) => {
  const details = { originStatus, ...(seconds === undefined ? {} : { retryAfterSeconds: seconds }) };
  const fake = fakeOrigin(failing("origin_status", details));
  const origin = guardOrigin(fake, { breaker, budget, record, waitMs: 50 });
  await expect(origin.fetch(ask("a.jpg"))).rejects.toMatchObject({ code: "origin_status" });
  expect(budget.usage().pausedMs).toBe(expected);
  const code = expected > 0 ? "origin_busy" : "origin_status";
  await expect(origin.fetch(ask("a.jpg"))).rejects.toMatchObject({ code, originStatus });
  expect(fake.requests).toHaveLength(expected > 0 ? 1 : 2);
  expect(origin.refusal?.()?.code).toBe(expected > 0 ? "origin_busy" : undefined);
});

test("guardOrigin() records failures of the origin, and neither absences nor clients that leave", async () => {
  const replies: readonly Reply[] = [
    failing("origin_status", { originStatus: 503 }),
    failing("client_gone"),
    failing("origin_blocked"),
    () => undefined,
  ];
  for (const reply of replies)
    await guarded(reply)
      .fetch(ask("a.jpg"))
      .catch(() => undefined);
  expect(record.failures().map(({ code, status, key }) => [code, status, key])).toEqual([
    ["origin_blocked", undefined, "a.jpg"],
    ["origin_status", 503, "a.jpg"],
  ]);
  expect([record.latencies().length, record.outcomes()]).toEqual([1, { requests: 3, failed: 2, isAnswering: true }]);
});

/** The rules of origins that may not have been requested yet. */
const named = (names: readonly string[]) =>
  new Map(names.map((name) => [name, { connections: 32, requestsPerSecond: 5 }]));

test("reportOf() lists origins that were never requested, with the rules of their settings", () => {
  expect([...reportOf(named(["http://new.example", budget.name]), [budget], [breaker], [record])]).toMatchObject([
    { name: "http://new.example", condition: "unused", connections: 32, requestsPerSecond: 5, waiting: 0, pausedMs: 0 },
    { name: budget.name, connections: budget.rules.connections },
  ]);
});

test("reportOf() tells four conditions: unused, answers, fails and paused", async () => {
  const report = () =>
    [...reportOf(named([budget.name]), [budget], [breaker], [record])].map((each) => [each.condition, each.requests]);
  expect(report()).toEqual([["unused", 0]]);
  const dead = guarded(failing("origin_refused"));
  await dead.fetch(ask("a.jpg")).catch(() => undefined);
  expect(report()).toEqual([["fails", 1]]);
  await guarded(absent).fetch(ask("a.jpg"));
  expect(report()).toEqual([["answers", 2]]);
  for (const key of KEYS) await dead.fetch(ask(key)).catch(() => undefined);
  expect(report()).toEqual([["paused", 5]]);
  // Blocked requests are none of the origin's.
  await dead.fetch(ask("a.jpg")).catch(() => undefined);
  expect(report()).toEqual([["paused", 5]]);
  clock.now += 1_000;
  expect([breaker.state, report()]).toEqual(["half-open", [["paused", 5]]]);
});

test("reportOf() tells that all bodies of an origin break", async () => {
  for (const key of KEYS) {
    const body = arriving();
    const answer = await fetched(guarded(body.reply), key);
    body.fail(new HuiyuanError("origin_truncated", "cut"));
    await gather(answer.body);
  }
  expect([...reportOf(named([budget.name]), [budget], [breaker], [record])]).toMatchObject([
    { condition: "fails", requests: 3, failed: 3, failures: [{ key: "c.jpg" }, { key: "b.jpg" }, { key: "a.jpg" }] },
  ]);
});

test("reportOf() looks at each part once, with many origins as with few, and merges those of one name", () => {
  const looksOf = (origins: number) => {
    let looks = 0;
    const counted = <Part extends object>(part: Part, name: string) =>
      Object.defineProperty({ ...part }, "name", {
        get() {
          looks += 1;
          return name;
        },
      }) as Part & { readonly name: string };
    const names = Array.from({ length: origins }, (_, index) => `http://${index}.example`);
    const all = <Part extends object>(part: Part) => [...names, ...names].map((name) => counted(part, name));
    const rows = [...reportOf(named(names), all(budget), all(breaker), all(record))];
    expect(rows.map(({ name }) => name)).toEqual(names);
    expect(rows[0]).toMatchObject({ state: "closed", connections: 4, failures: [], latency: undefined });
    return looks / origins;
  };
  expect(looksOf(300)).toBe(looksOf(3));
});

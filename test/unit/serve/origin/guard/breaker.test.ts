// Tests when the breaker opens and closes, and the lines that it logs.
import { beforeEach, describe, expect, test } from "vitest";
import { HuiyuanError } from "../../../../../src/core/errors.ts";
import { type Breaker, createBreaker } from "../../../../../src/serve/origin/guard/breaker.ts";
import { linesOf } from "../../../../helpers/log-lines.ts";

const RULES = { failures: 4, withinMs: 10_000, openMs: 2_000 };
const DOWN = new HuiyuanError("origin_refused", "down");

let clock: { now: number };
let log: ReturnType<typeof linesOf>;
let breaker: Breaker;

beforeEach(() => {
  clock = { now: 1_000_000 };
  log = linesOf();
  breaker = createBreaker({ rules: RULES, name: "http://a.example", now: () => clock.now, log });
});

function fail(key: string): void {
  breaker.failed(breaker.enter(), { key, error: DOWN });
}
function answer(): void {
  breaker.answered(breaker.enter());
}
function open(): void {
  for (const key of ["a", "b", "c", "d"]) fail(key);
}

describe("a closed breaker", () => {
  // a letter: this key fails; "+": a response; ">": two seconds pass
  test.each([
    ["abcd", "open"],
    ["abc", "closed"],
    ["abab", "closed"],
    ["aaaaaaaaaaaa", "closed"],
    ["ababc", "open"],
    ["++++abcd", "open"],
    ["+++++abcd", "closed"],
    ["+++++abcde", "open"],
    ["abc+", "closed"],
    ["abc>>>>d", "open"],
    ["abc>>>>>d", "closed"],
    ["a>b>c>d>", "open"],
    ["a>>b>>c>>d", "closed"],
    ["++++++++>>>>>abcd", "open"],
  ])("after %s is %s", (events, state) => {
    for (const event of events) {
      if (event === "+") answer();
      else if (event === ">") clock.now += 2_000;
      else fail(event);
      if (breaker.state !== "closed") break;
    }
    expect(breaker.state).toBe(state);
  });

  test("opens by stalled bodies, each counted once", () => {
    for (const key of ["a", "b", "c", "d"]) {
      answer();
      breaker.bodyFailed({ key, error: new HuiyuanError("origin_timeout", "stalled") });
    }
    expect(breaker.state).toBe("open");
  });

  test("does not count a request without outcome", () => {
    for (const _ of "abcd") breaker.left(breaker.enter());
    for (const key of ["a", "b", "c"]) fail(key);
    expect(breaker.state).toBe("closed");
  });
});

describe("an open breaker", () => {
  beforeEach(open);

  test("refuses with the remaining time", () => {
    expect(breaker.refusal()).toMatchObject({ code: "origin_failing", retryAfterSeconds: 2 });
    clock.now += 1_001;
    expect(() => breaker.enter()).toThrow(expect.objectContaining({ code: "origin_failing", retryAfterSeconds: 1 }));
  });

  test("ignores outcomes of requests from before it opened", () => {
    breaker.answered("request");
    breaker.failed("request", { key: "z", error: DOWN });
    breaker.bodyFailed({ key: "z", error: DOWN });
    breaker.left("request");
    expect(breaker.state).toBe("open");
    clock.now += RULES.openMs;
    expect(breaker.enter()).toBe("probe");
  });

  test("lets one probe through when its time is over", () => {
    clock.now += RULES.openMs;
    expect(breaker.state).toBe("half-open");
    expect(breaker.refusal()).toBeUndefined();
    expect(breaker.enter()).toBe("probe");
    expect(breaker.refusal()).toMatchObject({ code: "origin_failing", retryAfterSeconds: 1 });
    expect(() => breaker.enter()).toThrow(expect.objectContaining({ code: "origin_failing" }));
  });

  test("closes when the probe succeeds, with no counts", () => {
    clock.now += RULES.openMs;
    breaker.answered(breaker.enter());
    expect(breaker.state).toBe("closed");
    for (const key of ["a", "b", "c"]) fail(key);
    expect(breaker.state).toBe("closed");
  });

  test("stays open for the same time again when the probe fails", () => {
    clock.now += RULES.openMs;
    fail("x");
    expect(breaker.state).toBe("open");
    clock.now += RULES.openMs - 1;
    expect(breaker.state).toBe("open");
    clock.now += 1;
    expect(breaker.enter()).toBe("probe");
  });

  test("lets another probe through if one ended without outcome", () => {
    clock.now += RULES.openMs;
    breaker.left(breaker.enter());
    expect(breaker.enter()).toBe("probe");
  });
});

test("ten minutes of outage are logged in two lines", () => {
  open();
  const until = clock.now + 600_000;
  while (clock.now < until) {
    clock.now += 100;
    if (breaker.refusal() === undefined) fail("x");
  }
  breaker.answered("probe");
  expect(log.lines.map(({ level, message }) => `${level} ${message}`)).toEqual([
    "warn an origin keeps failing: no requests to it except one probe every 2000 ms",
    "info an origin answers again",
  ]);
  expect(log.lines.map(({ fields }) => (fields as { downSeconds?: number }).downSeconds)).toEqual([undefined, 600]);
  expect(log.lines[0]?.fields).toMatchObject({ origin: "http://a.example", failures: 4, code: "origin_refused" });
});

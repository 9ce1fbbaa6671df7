// Tests when requests to an origin are admitted, with a fake clock.
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createSemaphore, type Release } from "../../../../../src/async/semaphore.ts";
import { type Budget, type BudgetRules, createBudget } from "../../../../../src/serve/origin/guard/budget.ts";
import { linesOf } from "../../../../helpers/log-lines.ts";

let log: ReturnType<typeof linesOf>;

beforeEach(() => {
  log = linesOf();
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

function budgetOf(rules: Partial<BudgetRules>, fetches = createSemaphore(100)): Budget {
  return createBudget({
    fetches,
    rules: { connections: 8, requestsPerSecond: 0, ...rules },
    name: "http://a.example",
    now: () => performance.now(),
    log,
  });
}

/** The state of each request: `in`, `waits`, or the code of its failure. */
function asking(budget: Budget, waitMs = 1_000) {
  const outcomes: string[] = [];
  const releases: Release[] = [];
  return {
    outcomes,
    async ask(signal = new AbortController().signal): Promise<void> {
      const index = outcomes.push("waits") - 1;
      const entering = (async () => budget.enter(signal, waitMs))();
      void entering.then(
        (release) => {
          releases.push(release);
          outcomes[index] = "in";
        },
        (error: { code?: string }) => {
          outcomes[index] = error.code ?? String(error);
        },
      );
      await settle();
    },
    /** Ends the request that has run longest. */
    leave: () => releases.shift()?.(),
  };
}

/** Lets promises run, and advances the clock. */
const settle = (milliseconds = 0) => vi.advanceTimersByTimeAsync(milliseconds);

describe("connections", () => {
  test("are taken in order of arrival", async () => {
    const budget = budgetOf({ connections: 2 });
    const { outcomes, ask, leave } = asking(budget);
    for (const _ of "abcd") await ask();
    expect(outcomes).toEqual(["in", "in", "waits", "waits"]);
    expect(budget.usage()).toMatchObject({ running: 2, waiting: 2 });
    leave();
    await settle();
    expect(outcomes).toEqual(["in", "in", "in", "waits"]);
  });
});

describe("waiting", () => {
  test("ends overloaded in time", async () => {
    const budget = budgetOf({ connections: 1 });
    const { outcomes, ask, leave } = asking(budget);
    for (const _ of "ab") await ask();
    await settle(999);
    expect(outcomes).toEqual(["in", "waits"]);
    await settle(1);
    expect(outcomes).toEqual(["in", "overloaded"]);
    leave();
    await ask();
    expect(outcomes[2]).toBe("in");
  });

  test("ends with the signal, before and during the wait", async () => {
    const budget = budgetOf({ connections: 1 });
    const { outcomes, ask, leave } = asking(budget);
    await ask();
    const leaving = new AbortController();
    await ask(leaving.signal);
    await ask();
    leaving.abort("left");
    await settle();
    await ask(AbortSignal.abort("gone"));
    expect(outcomes).toEqual(["in", "left", "waits", "gone"]);
    leave();
    await settle();
    expect(outcomes[2]).toBe("in");
    expect(budget.usage()).toMatchObject({ running: 1, waiting: 0 });
  });

  test("is refused if a thousand wait", async () => {
    const budget = budgetOf({ connections: 1 });
    const { outcomes, ask } = asking(budget);
    for (let index = 0; index < 1_002; index += 1) await ask();
    expect(outcomes.filter((outcome) => outcome === "waits")).toHaveLength(1_000);
    expect(outcomes.at(-1)).toBe("overloaded");
  });
});

describe("requests a second", () => {
  test("are sent at the rate, in order of arrival", async () => {
    const budget = budgetOf({ connections: 100, requestsPerSecond: 4 });
    const { outcomes, ask } = asking(budget, 10_000);
    for (const _ of "abcdef") await ask();
    const ins = () => outcomes.flatMap((outcome, index) => (outcome === "in" ? [index] : []));
    expect(ins()).toEqual([0, 1, 2, 3]);
    await settle(251);
    expect(ins()).toEqual([0, 1, 2, 3, 4]);
    await settle(250);
    expect(ins()).toEqual([0, 1, 2, 3, 4, 5]);
  });

  test("are refused at once if their turn comes too late, and take no turn from later ones", async () => {
    const budget = budgetOf({ connections: 100, requestsPerSecond: 1 });
    const { outcomes, ask } = asking(budget, 1_500);
    for (const _ of "abcd") await ask();
    expect(outcomes).toEqual(["in", "waits", "overloaded", "overloaded"]);
    expect(budget.usage()).toMatchObject({ running: 1, waiting: 1 });
    await settle(1_000);
    await ask();
    expect(outcomes).toEqual(["in", "in", "overloaded", "overloaded", "waits"]);
    await settle(1_000);
    expect(outcomes.at(-1)).toBe("in");
  });

  test("are not used up by requests that are refused because no fetch of the program is free", async () => {
    const fetches = createSemaphore(1);
    const budget = budgetOf({ connections: 100, requestsPerSecond: 2 }, fetches);
    const free = fetches.tryAcquire();
    const { outcomes, ask } = asking(budget, 0);
    for (const _ of "abcd") await ask();
    expect(outcomes).toEqual(["overloaded", "overloaded", "overloaded", "overloaded"]);
    expect(budget.usage()).toMatchObject({ running: 0, waiting: 0 });
    free?.();
    await ask();
    expect(outcomes.at(-1)).toBe("in");
  });

  test("are refused while they wait for their turn, if the origin asks for a pause", async () => {
    const budget = budgetOf({ connections: 100, requestsPerSecond: 1 });
    const { outcomes, ask } = asking(budget, 10_000);
    for (const _ of "ab") await ask();
    budget.pause(503, 60);
    await settle(1_000);
    expect(outcomes).toEqual(["in", "origin_busy"]);
    expect(budget.usage()).toMatchObject({ running: 1, waiting: 0 });
  });
});

describe("pause()", () => {
  test("refuses requests, including waiting ones, until it is over", async () => {
    const budget = budgetOf({ connections: 1 });
    const { outcomes, ask, leave } = asking(budget, 60_000);
    await ask();
    await ask();
    budget.pause(429, 30);
    await settle();
    expect(budget.refusal()).toMatchObject({ code: "origin_busy", originStatus: 429, retryAfterSeconds: 30 });
    expect(budget.usage().pausedMs).toBe(30_000);
    leave();
    await ask();
    expect(outcomes).toEqual(["in", "origin_busy", "origin_busy"]);
    await settle(30_000);
    await ask();
    expect(outcomes[3]).toBe("in");
    expect(budget.refusal()).toBeUndefined();
  });

  test.each([
    [[0], 0],
    [[1], 1_000],
    [[86_400], 300_000],
    [[30, 10], 30_000],
    [[10, 30], 30_000],
  ])("of %j seconds lasts %d ms", (seconds, expected) => {
    const budget = budgetOf({});
    for (const each of seconds) budget.pause(503, each);
    expect(budget.usage().pausedMs).toBe(expected);
  });

  test("is logged once for all pauses within a minute", async () => {
    const budget = budgetOf({});
    for (let second = 0; second < 90; second += 1) {
      budget.pause(429, 1);
      await settle(1_000);
    }
    expect(log.lines.map(({ fields }) => fields)).toEqual([
      { origin: "http://a.example", status: 429, seconds: 1 },
      { origin: "http://a.example", status: 429, seconds: 1 },
    ]);
  });
});

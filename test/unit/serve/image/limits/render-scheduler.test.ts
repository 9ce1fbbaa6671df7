import { expect, test } from "vitest";
import {
  createRenderScheduler,
  type RenderSchedulerOptions,
} from "../../../../../src/serve/image/limits/render-scheduler.ts";

const OPTIONS: RenderSchedulerOptions = {
  slots: 2,
  maxWaiting: 9,
  waitMs: 60_000,
  maxBytes: 100,
  largeBytes: 50,
  largeSlots: 1,
};
const [SMALL, LARGE] = [20, 90];
const NEVER = new AbortController().signal;

/** Runs all pending microtasks and returns the events so far. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** Renders that start as soon as queues and memory allow, and end when the test says so. */
function lab(options: Partial<RenderSchedulerOptions> = {}) {
  const lines = createRenderScheduler({ ...OPTIONS, ...options });
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  const failed = new Map<string, unknown>();
  async function render(name: string, bytes: number, signal: AbortSignal): Promise<void> {
    const turn = await lines.enter(bytes, signal);
    try {
      await turn.reserve(bytes, signal);
      begun.push(name);
      await new Promise<void>((resolve) => ends.set(name, resolve));
    } finally {
      turn.release();
    }
  }
  return {
    lines,
    begun,
    failed,
    ask: (name: string, bytes: number, signal: AbortSignal = NEVER) =>
      void render(name, bytes, signal).catch((error: unknown) => failed.set(name, error)),
    async end(name: string) {
      ends.get(name)?.();
      await settled();
    },
  };
}

test("enter() gives three large renders one slot, and a later small render runs before the second", async () => {
  const { lines, begun, ask, end } = lab();
  for (const name of ["large 1", "large 2", "large 3"]) ask(name, LARGE);
  await settled();
  expect([begun, lines.running, lines.waiting]).toEqual([["large 1"], 1, 2]);
  ask("small", SMALL);
  await settled();
  // It has the other slot, and waits for memory only.
  expect([begun, lines.running, lines.waiting]).toEqual([["large 1"], 2, 2]);
  await end("large 1");
  expect(begun).toEqual(["large 1", "small"]);
  await end("small");
  expect([begun.slice(2), lines.running, lines.waiting]).toEqual([["large 2"], 1, 1]);
  await end("large 2");
  await end("large 3");
  expect([begun.slice(2), lines.running, lines.waiting]).toEqual([["large 2", "large 3"], 0, 0]);
});

test("enter() runs as many large renders at once as there are large slots", async () => {
  const { begun, ask, end } = lab({ slots: 8, maxBytes: 200, largeSlots: 2 });
  for (const name of ["large 1", "large 2", "large 3"]) ask(name, LARGE);
  ask("small", SMALL);
  await settled();
  expect(begun.toSorted()).toEqual(["large 1", "large 2", "small"]);
  await end("large 1");
  expect(begun.slice(3)).toEqual(["large 3"]);
});

test("enter() does not delay small renders that fit beside a large one, however many large ones wait", async () => {
  const { begun, ask, end } = lab();
  for (const name of ["large 1", "large 2", "large 3"]) ask(name, 60);
  await settled();
  for (const name of ["small 1", "small 2"]) ask(name, SMALL);
  await settled();
  expect(begun).toEqual(["large 1", "small 1"]);
  await end("small 1");
  expect(begun).toEqual(["large 1", "small 1", "small 2"]);
});

test("release() admits waiting small renders before the next large one", async () => {
  const { begun, ask, end } = lab({ slots: 1 });
  ask("large 1", LARGE);
  ask("large 2", LARGE);
  await settled();
  for (const name of ["small 1", "small 2"]) ask(name, SMALL);
  await settled();
  await end("large 1");
  await end("small 1");
  expect(begun).toEqual(["large 1", "small 1", "small 2"]);
  await end("small 2");
  expect(begun.at(-1)).toBe("large 2");
});

test("enter() leaves either queue at once on an abort", async () => {
  const { lines, begun, failed, ask, end } = lab({ slots: 1 });
  const clients = [new AbortController(), new AbortController(), new AbortController()] as const;
  ask("small", SMALL);
  await settled();
  ask("in the common line", LARGE, clients[0].signal);
  ask("in that of large ones", LARGE, clients[1].signal);
  ask("the next", LARGE, clients[2].signal);
  await settled();
  expect([lines.running, lines.waiting]).toEqual([1, 3]);
  clients[1].abort(new Error("gone"));
  await settled();
  expect([lines.running, lines.waiting, failed.get("in that of large ones")]).toEqual([1, 2, new Error("gone")]);
  clients[0].abort(new Error("gone"));
  await settled();
  expect([lines.running, lines.waiting, failed.get("in the common line")]).toEqual([1, 1, new Error("gone")]);
  await end("small");
  expect(begun).toEqual(["small", "the next"]);
});

test("enter() frees the large slot of a render that is aborted while it waits for memory", async () => {
  const { begun, ask, lines } = lab();
  const client = new AbortController();
  ask("small", SMALL);
  ask("large 1", LARGE, client.signal);
  ask("large 2", 60);
  await settled();
  expect([begun, lines.waiting]).toEqual([["small"], 1]);
  client.abort(new Error("gone"));
  await settled();
  expect([begun, lines.waiting]).toEqual([["small", "large 2"], 0]);
});

test("reserve() lets a render that turns out to be large continue only if it is the only large one", async () => {
  const { enter } = createRenderScheduler(OPTIONS);
  const [first, second] = [await enter(SMALL, NEVER), await enter(SMALL, NEVER)];
  expect(await first.reserve(LARGE, NEVER)).toBe(true);
  expect(await second.reserve(LARGE, NEVER)).toBe(false);
  second.release();
  const anew = enter(LARGE, NEVER);
  first.release();
  expect(await (await anew).reserve(LARGE, NEVER)).toBe(true);
});

test("enter() refuses when either queue is full", async () => {
  const { ask, failed } = lab({ slots: 1, maxWaiting: 1 });
  for (const name of ["running", "waiting", "refused"]) ask(name, LARGE);
  await settled();
  for (const name of ["small waiting", "small refused"]) ask(name, SMALL);
  await settled();
  expect([...failed.keys()].sort()).toEqual(["refused", "small refused"]);
  expect([...failed.values()]).toMatchObject([{ code: "render_overloaded" }, { code: "render_overloaded" }]);
});

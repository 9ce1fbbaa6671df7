import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { inParallel } from "../../../../../src/operate/images/calls/in-parallel.ts";

const { signal } = new AbortController();

/** Work that the test finishes itself. */
function byHand() {
  const begun = new Map<string, (result: string) => void>();
  const work = (item: string) => new Promise<string>((resolve) => begun.set(item, resolve));
  return { begun, work, end: (item: string) => begun.get(item)?.(`${item} done`) };
}

async function* items(...names: string[]) {
  yield* names;
}

/** Turns of the event loop, because a pause between two items may end the present one on a busy machine. */
const turns = async (count = 5) => {
  for (let turn = 0; turn < count; turn += 1) await setImmediate();
};

test("inParallel() yields results in order of completion, and starts the next item when the result is taken", async () => {
  const { begun, work, end } = byHand();
  const results = inParallel(items("a", "b", "c"), { places: 2, work, signal });
  const first = results.next();
  await turns();
  expect([...begun.keys()]).toEqual(["a", "b"]);
  end("b");
  expect(await first).toEqual({ done: false, value: "b done" });
  await turns();
  expect([...begun.keys()]).toEqual(["a", "b"]);
  const second = results.next();
  await turns();
  expect([...begun.keys()]).toEqual(["a", "b", "c"]);
  end("c");
  end("a");
  const rest = [await second, await results.next(), await results.next()];
  expect(rest.map(({ value }) => value)).toEqual(["c done", "a done", undefined]);
});

test("inParallel() yields results whose work has ended before the items do", async () => {
  async function* slow() {
    yield "a";
    await turns();
  }
  const results: string[] = [];
  for await (const result of inParallel(slow(), { places: 2, work: async (item: string) => `${item} done`, signal }))
    results.push(result);
  expect(results).toEqual(["a done"]);
});

test("inParallel() throws the error of the items after all started work has ended", async () => {
  const { work, end, begun } = byHand();
  const failing = async function* () {
    yield "a";
    throw new Error("no more");
  };
  let isOver = false;
  const thrown = inParallel(failing(), { places: 2, work, signal })
    .next()
    .catch((error: Error) => error.message)
    .finally(() => {
      isOver = true;
    });
  await turns();
  expect([[...begun.keys()], isOver]).toEqual([["a"], false]);
  end("a");
  expect(await thrown).toBe("no more");
});

test("inParallel() starts no item after the abort, and yields what was started", async () => {
  const leaving = new AbortController();
  const work = async (item: string) => {
    if (item === "b") leaving.abort();
    return item;
  };
  const seen: string[] = [];
  for await (const item of inParallel(["a", "b", "c"], { places: 2, work, signal: leaving.signal })) seen.push(item);
  expect(seen).toEqual(["a", "b"]);
});

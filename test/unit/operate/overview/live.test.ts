// The streams of live figures: nothing runs while none is open, and a page that does not read costs no memory.
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { createLive, type LiveParts } from "../../../../src/operate/overview/live.ts";

function create({ everyMs = 10 } = {}) {
  const stopping = new AbortController();
  let reads = 0;
  const sources: LiveParts["sources"] = {
    origins: () => [],
    fills: () => 1,
    renders: () => ({ running: 2, waiting: 3 }),
    uploads: () => 4,
    storing: () => ({ depth: 5, oldestMs: 0 }),
    memory: () => ({ objects: 6, bytes: 7 }),
  };
  const live = createLive({
    totals() {
      reads += 1;
      const errors = new Map(Array.from({ length: 12 }, (_, index) => [`code_${index}`, index]));
      return { requests: [], errors, bytes: 9, savedBytes: 8 };
    },
    ...{ sources, stopping: stopping.signal, everyMs },
  });
  return { live, stopping, reads: () => reads };
}

async function textOf(stream: ReadableStream<Uint8Array>): Promise<string> {
  return new Response(stream).text();
}

test("figures are read only while a stream is open, once for all streams", async () => {
  const { live, reads } = create();
  await delay(40);
  expect(reads()).toBe(0);
  const [one, other] = await Promise.all([textOf(live.open(4)), textOf(live.open(4))]);
  expect([one, other].map((text) => text.match(/^data: /gm)?.length)).toEqual([4, 4]);
  // Each stream has its first event at once.
  expect(reads()).toBeLessThanOrEqual(2 + 3 + 1);
  expect(live.listeners).toBe(0);
  const before = reads();
  await delay(40);
  expect(reads()).toBe(before);
});

test("an event has the figures, and the ten most frequent errors", async () => {
  const text = await textOf(create().live.open(1));
  const event = JSON.parse(/^data: (.*)$/m.exec(text)?.[1] ?? "");
  expect(event).toMatchObject({
    ...{ bytes: 9, savedBytes: 8, origins: [] },
    running: { fills: 1, renders: 2, waitingRenders: 3, uploads: 4, waitingWrites: 5 },
    memory: { cacheObjects: 6, cacheBytes: 7 },
  });
  expect(event.errors).toHaveLength(10);
  expect(event.errors[0]).toEqual({ code: "code_11", count: 11 });
});

test("a page that does not read has one event waiting, and its stream ends in time", async () => {
  const { live, reads } = create();
  const stream = live.open(5);
  await expect.poll(() => live.listeners).toBe(0);
  expect(reads()).toBe(5);
  expect((await textOf(stream)).match(/^data: /gm)).toHaveLength(1);
});

test("a page that reads again gets newer events", async () => {
  const { live, reads } = create();
  const reader = live.open(1_000).getReader();
  await expect.poll(reads).toBeGreaterThan(3);
  const before = reads();
  await reader.read();
  await reader.read();
  expect(reads()).toBeGreaterThan(before);
  await reader.cancel();
  expect(live.listeners).toBe(0);
});

test("a page that leaves is forgotten, and a stop ends every stream and refuses new ones", async () => {
  const { live, stopping } = create({ everyMs: 60_000 });
  await live.open(5).cancel();
  expect(live.listeners).toBe(0);
  const texts = [textOf(live.open(5)), textOf(live.open(5))];
  expect(live.listeners).toBe(2);
  stopping.abort();
  expect((await Promise.all(texts)).map((text) => text.match(/^data: /gm)?.length)).toEqual([1, 1]);
  expect(live.listeners).toBe(0);
  expect(() => live.open(1)).toThrow(expect.objectContaining({ code: "overloaded" }));
});

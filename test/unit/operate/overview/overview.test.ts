// The live figures of the console.
import { expect, test } from "vitest";
import { liveFigures } from "../../../../src/operate/overview/overview.ts";

test("the live figures have what runs now, the ten most frequent errors and the first fifty origins", () => {
  const errors = new Map(Array.from({ length: 12 }, (_, index) => [`code_${index}`, index]));
  const origin = { state: "closed", stateMs: 0, running: 0, connections: 8, requestsPerSecond: 0 } as const;
  const more = {
    waiting: 0,
    pausedMs: 0,
    condition: "answers",
    requests: 0,
    failed: 0,
    failures: [],
    latency: undefined,
  } as const;
  const origins = Array.from({ length: 60 }, (_, index) => ({ ...origin, ...more, name: `o${index}` }));
  const figures = liveFigures(
    { requests: [], errors, bytes: 9, savedBytes: 8 },
    {
      origins: () => origins,
      fills: () => 1,
      renders: () => ({ running: 2, waiting: 3 }),
      uploads: () => 4,
      storing: () => ({ depth: 5, oldestMs: 0 }),
      memory: () => ({ objects: 6, bytes: 7 }),
    },
  );
  expect(figures).toMatchObject({
    ...{ bytes: 9, savedBytes: 8 },
    running: { fills: 1, renders: 2, waitingRenders: 3, uploads: 4, waitingWrites: 5 },
    memory: { cacheObjects: 6, cacheBytes: 7 },
  });
  expect(figures.errors).toHaveLength(10);
  expect(figures.errors[0]).toEqual({ code: "code_11", count: 11 });
  expect(figures.origins).toHaveLength(50);
});

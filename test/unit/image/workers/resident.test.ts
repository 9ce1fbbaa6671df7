// Compares the memory of this process by the meter and by node.
import { expect, test } from "vitest";
import { createResidentMeter } from "../../../../src/image/workers/resident.ts";

const MB = 1_000_000;
const near = (bytes: number) => [bytes - 20 * MB, bytes + 20 * MB] as const;

test("createResidentMeter() measures what node reports, at each call", () => {
  const resident = createResidentMeter();
  const before = resident();
  const [least, most] = near(process.memoryUsage.rss());
  expect(before).toBeGreaterThan(least);
  expect(before).toBeLessThan(most);
  const taken = Buffer.alloc(100 * MB, 1);
  expect(resident() - before).toBeGreaterThan(80 * MB);
  const [leastNow, mostNow] = near(process.memoryUsage.rss());
  expect(resident()).toBeGreaterThan(leastNow);
  expect(resident()).toBeLessThan(mostNow);
  expect(taken).toHaveLength(100 * MB);
});

import { expect, test } from "vitest";
import { createScratch, type Lease } from "../../../../src/serve/body/scratch.ts";

const KIB = 1_024;

function taken(bytes: number, scratch = createScratch()): Lease {
  const lease = scratch.take(bytes);
  if (lease === undefined) throw new Error(`nothing for ${bytes} bytes`);
  return lease;
}

test("take() returns the requested number of bytes, and undefined for sizes that do not pay off", () => {
  for (const bytes of [16 * KIB, 16 * KIB + 1, 100_000, 128 * KIB, 256 * KIB]) {
    expect(taken(bytes).bytes.length).toBe(bytes);
  }
  for (const bytes of [0, 1, 16 * KIB - 1, 256 * KIB + 1, 5_000_000]) {
    expect(createScratch().take(bytes)).toBeUndefined();
  }
});

test("take() reuses the most recently freed buffer, also for another size of the same capacity", () => {
  const scratch = createScratch();
  const [first, second] = [taken(100_000, scratch), taken(100_000, scratch)];
  first.free();
  second.free();
  expect(taken(70_000, scratch).bytes.buffer).toBe(second.bytes.buffer);
  expect(taken(100_000, scratch).bytes.buffer).toBe(first.bytes.buffer);
});

test("no buffer is taken twice: neither before it is freed, nor after it was freed twice", () => {
  const scratch = createScratch();
  const lease = taken(100_000, scratch);
  expect(taken(100_000, scratch).bytes.buffer).not.toBe(lease.bytes.buffer);
  lease.free();
  const next = taken(100_000, scratch);
  expect(next.bytes.buffer).toBe(lease.bytes.buffer);
  lease.free();
  expect(taken(100_000, scratch).bytes.buffer).not.toBe(next.bytes.buffer);
});

test("free() keeps at most 4 MiB", () => {
  const scratch = createScratch();
  const sizes = [16, 32, 64, 128, 256].map((size) => size * KIB);
  const leases = sizes.flatMap((size) => Array.from({ length: 50 }, () => taken(size, scratch)));
  for (const lease of leases) lease.free();
  const known = new Set(leases.map(({ bytes }) => bytes.buffer));
  let kept = 0;
  for (const size of sizes) {
    for (let lease = taken(size, scratch); known.has(lease.bytes.buffer); lease = taken(size, scratch)) kept += size;
  }
  expect(kept).toBeLessThanOrEqual(4 * KIB * KIB);
});

import { expect, test } from "vitest";
import { bodyRoom } from "../../../../../src/serve/body/head-room.ts";
import {
  runScan,
  type ScanSteps,
  scanBytes,
  yieldingScan,
} from "../../../../../src/serve/image/formats/yielding-scan.ts";

function* busy(steps: number, stepMs: number): ScanSteps<string> {
  for (let step = 0; step < steps; step += 1) {
    for (const until = performance.now() + stepMs; performance.now() < until; );
    yield;
  }
  return "found";
}

test("yieldingScan() yields to other events during a long scan", async () => {
  let turns = 0;
  const others = setInterval(() => {
    turns += 1;
  }, 1);
  expect(await yieldingScan(busy(20, 3))).toBe("found");
  clearInterval(others);
  expect(turns).toBeGreaterThanOrEqual(5);
});

test("yieldingScan() does not yield during a short scan", async () => {
  let isTurnOver = false;
  setImmediate(() => {
    isTurnOver = true;
  });
  expect(await yieldingScan(busy(0, 0))).toBe("found");
  expect(isTurnOver).toBe(false);
});

test("yieldingScan() and runScan() throw the error of the scan", async () => {
  function* failing(): ScanSteps<void> {
    yield;
    throw new RangeError("here");
  }
  await expect(yieldingScan(failing())).rejects.toThrow("here");
  expect(() => runScan(failing())).toThrow("here");
});

// Buffers above 1 MiB use another kind of memory.
test.each([0, 1, 65_536, 65_537, 300_000, 2_000_000])("scanBytes() passes all of %i bytes, in steps", (length) => {
  const bytes = bodyRoom(length);
  for (let at = 0; at < length; at += 1) bytes[at] = at % 251;
  const chunks: Buffer[] = [];
  const walk = scanBytes(bytes, (chunk) => chunks.push(Buffer.from(chunk)) > 0);
  let turns = 0;
  while (walk.next().done !== true) turns += 1;
  expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
  expect(turns).toBe(length > 65_536 ? Math.ceil(length / 65_536) : 0);
});

test("scanBytes() ends when push returns false", () => {
  let chunks = 0;
  runScan(
    scanBytes(Buffer.alloc(1_000_000), () => {
      chunks += 1;
      return chunks < 3;
    }),
  );
  expect(chunks).toBe(3);
});

import { expect, test } from "vitest";
import { bodyRoom } from "../../../../src/body/body-room.ts";
import { runScan, type ScanSteps, scanBytes, yieldingScan } from "../../../../src/image/formats/yielding-scan.ts";

function* busy(steps: number, stepMs: number): ScanSteps<string> {
  for (let step = 0; step < steps; step += 1) {
    for (const until = performance.now() + stepMs; performance.now() < until; );
    yield;
  }
  return "found";
}

test("inStrides() lets others have their turn while it lasts", async () => {
  let turns = 0;
  const others = setInterval(() => {
    turns += 1;
  }, 1);
  expect(await yieldingScan(busy(20, 3))).toBe("found");
  clearInterval(others);
  expect(turns).toBeGreaterThanOrEqual(5);
});

test("inStrides() waits for nobody when the walk is short", async () => {
  let isTurnOver = false;
  setImmediate(() => {
    isTurnOver = true;
  });
  expect(await yieldingScan(busy(0, 0))).toBe("found");
  expect(isTurnOver).toBe(false);
});

test("inStrides() and atOnce() throw what the walk throws", async () => {
  function* failing(): ScanSteps<void> {
    yield;
    throw new RangeError("here");
  }
  await expect(yieldingScan(failing())).rejects.toThrow("here");
  expect(() => runScan(failing())).toThrow("here");
});

// Of those that are larger than a mebibyte the memory is another one.
test.each([0, 1, 65_536, 65_537, 300_000, 2_000_000])("walkThrough() gives all of %i bytes, in steps", (length) => {
  const bytes = bodyRoom(length);
  for (let at = 0; at < length; at += 1) bytes[at] = at % 251;
  const chunks: Buffer[] = [];
  const walk = scanBytes(bytes, (chunk) => chunks.push(Buffer.from(chunk)) > 0);
  let turns = 0;
  while (walk.next().done !== true) turns += 1;
  expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
  expect(turns).toBe(length > 65_536 ? Math.ceil(length / 65_536) : 0);
});

test("walkThrough() ends where no more is wanted", () => {
  let chunks = 0;
  runScan(
    scanBytes(Buffer.alloc(1_000_000), () => {
      chunks += 1;
      return chunks < 3;
    }),
  );
  expect(chunks).toBe(3);
});

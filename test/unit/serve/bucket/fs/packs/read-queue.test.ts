// The order in which parts of large blobs are read.
import { expect, test } from "vitest";
import { createReadQueue, type PartRead } from "../../../../../../src/serve/bucket/fs/packs/read-queue.ts";

const MB = 1_048_576;

/** Enters all parts, then leaves once for each. Returns the names in the order of their turns. */
async function order(maxReads: number, parts: readonly (readonly [string, PartRead])[]): Promise<string[]> {
  const queue = createReadQueue(maxReads);
  const turns: string[] = [];
  for (const [name, part] of parts) {
    const turn = queue.enter(part);
    if (turn === undefined) turns.push(name);
    else void turn.then(() => turns.push(name));
  }
  for (const _ of parts) {
    queue.leave();
    await Promise.resolve();
    await Promise.resolve();
  }
  return turns;
}

const large = (hadBytes: number): PartRead => ({ size: 16 * MB, hadBytes });

test("createReadQueue() starts reads at once while it may, then those of readers with the fewest bytes", async () => {
  const parts: (readonly [string, PartRead])[] = [
    ["first", large(8 * MB)],
    ["8 MB", large(8 * MB)],
    ["none", large(0)],
    ["1 MB", large(MB)],
    ["small", { size: MB / 2, hadBytes: 0 }],
  ];
  expect(await order(1, parts)).toEqual(["first", "small", "none", "1 MB", "8 MB"]);
  expect(await order(2, parts)).toEqual(["first", "8 MB", "small", "none", "1 MB"]);
});

test("createReadQueue() gives every fourth turn to the reader with the most bytes, however many others begin", async () => {
  const begun = Array.from({ length: 20 }, (_, index) => [`new ${index}`, large(0)] as const);
  const turns = await order(1, [["first", large(0)], ["old", large(8 * MB)], ...begun]);
  expect(turns.indexOf("old")).toBe(4);
});

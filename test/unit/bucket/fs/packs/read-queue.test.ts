// Whose turn it is to read a part of a large blob.
import { expect, test } from "vitest";
import { createReadQueue, type PartRead } from "../../../../../src/bucket/fs/packs/read-queue.ts";

const MB = 1_048_576;

/** Enters all, then leaves once for each; the names in the order in which they got their turn. */
async function order(places: number, askers: readonly (readonly [string, PartRead])[]): Promise<string[]> {
  const line = createReadQueue(places);
  const turns: string[] = [];
  for (const [name, asker] of askers) {
    const turn = line.enter(asker);
    if (turn === undefined) turns.push(name);
    else void turn.then(() => turns.push(name));
  }
  for (const _ of askers) {
    line.leave();
    await Promise.resolve();
    await Promise.resolve();
  }
  return turns;
}

const large = (hadBytes: number): PartRead => ({ size: 16 * MB, hadBytes });

test("createReadLine() lets those read at once for whom there is a place, then who has had least", async () => {
  const askers: (readonly [string, PartRead])[] = [
    ["first", large(8 * MB)],
    ["8 MB", large(8 * MB)],
    ["none", large(0)],
    ["1 MB", large(MB)],
    ["a small one", { size: MB / 2, hadBytes: 0 }],
  ];
  expect(await order(1, askers)).toEqual(["first", "a small one", "none", "1 MB", "8 MB"]);
  expect(await order(2, askers)).toEqual(["first", "8 MB", "a small one", "none", "1 MB"]);
});

test("createReadLine() lets who has had most read in every fourth turn, however many others begin", async () => {
  const begun = Array.from({ length: 20 }, (_, index) => [`new ${index}`, large(0)] as const);
  const turns = await order(1, [["first", large(0)], ["old", large(8 * MB)], ...begun]);
  expect(turns.indexOf("old")).toBe(4);
});

// Blobs are read on the event loop if they were read recently, as long as such reads are hardly ever slow.
import { closeSync, openSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { blobPath } from "../../../../../../src/serve/bucket/fs/blob-places.ts";
import { createBlobReaders } from "../../../../../../src/serve/bucket/fs/packs/blob-reader.ts";
import { createQuickReads, type QuickReads } from "../../../../../../src/serve/bucket/fs/packs/quick-reads.ts";
import { randomBytes, wholeBody } from "../../../../../helpers/whole-body.ts";

const KIB = 1_024;

let dir: string;
let descriptor: number;
let clock: number;
/** The time that passes on each call of the clock. Milliseconds. */
let lookMs: number;
let quick: QuickReads;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "huiyuan-quick-"));
  await writeFile(join(dir, "file"), "0123456789");
  descriptor = openSync(join(dir, "file"), "r");
  clock = 0;
  lookMs = 0;
  quick = createQuickReads(() => {
    clock += lookMs;
    return clock;
  });
});

afterEach(async () => {
  closeSync(descriptor);
  await rm(dir, { recursive: true });
});

/** Reads once, slowly. */
function read(tookMs: number): void {
  lookMs = tookMs;
  quick.read(descriptor, Buffer.alloc(1), 0);
  lookMs = 0;
}

const mayRead = () => quick.mayRead(clock, 100 * KIB);

test("mayRead() is true for up to 256 KiB that were read within ten seconds", () => {
  clock = 50_000;
  expect(quick.mayRead(undefined, 1)).toBe(false);
  expect(quick.mayRead(40_001, 256 * KIB)).toBe(true);
  expect(quick.mayRead(40_000, 1)).toBe(false);
  expect(quick.mayRead(49_999, 256 * KIB + 1)).toBe(false);
});

test("read() fills its target from the position on, up to the end of the file", () => {
  const target = Buffer.alloc(4, "-");
  expect([quick.read(descriptor, target, 3), target.toString()]).toEqual([4, "3456"]);
  expect([quick.read(descriptor, target, 8), target.toString()]).toEqual([2, "8956"]);
  expect(quick.read(descriptor, target, 10)).toBe(0);
});

test("mayRead() is false after slow reads, and true again after a while", () => {
  for (let count = 0; count < 3; count += 1) read(8);
  expect(mayRead()).toBe(false);
  clock = 79;
  expect(mayRead()).toBe(false);
  clock = 81;
  expect(mayRead()).toBe(true);
});

test("reads from memory do not use up the allowance", () => {
  for (let count = 0; count < 10_000; count += 1) read(0.09);
  expect(mayRead()).toBe(true);
});

test("one very slow read prevents others for twenty times as long", () => {
  read(1_000);
  clock = 19_000;
  expect(mayRead()).toBe(false);
  clock = 20_000;
  expect(mayRead()).toBe(true);
});

describe("a blob that is read again soon", () => {
  const body = randomBytes(100_000);
  const { hashes, blockSums: sums } = wholeBody(body);

  async function open() {
    const path = blobPath(dir, hashes.sha256);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, body);
    const damages: string[] = [];
    const readers = createBlobReaders({
      dataDir: dir,
      blob: () => ({ place: undefined, sums, isDamaged: false }),
      onDamage: async ({ found }) => void damages.push(found),
    });
    const reader = await readers.open(hashes.sha256, body.length);
    if (reader === undefined) throw new Error("no such blob");
    const readWhole = (into?: Buffer) => reader.read(0, body.length - 1, into);
    expect((await readWhole()).equals(body)).toBe(true);
    return { path, damages, readers, reader, readWhole };
  }

  test("has the same bytes, whole, in parts, and in the given buffer", async () => {
    const { readers, reader, readWhole } = await open();
    expect((await readWhole()).equals(body)).toBe(true);
    expect((await reader.read(65_530, 65_545)).equals(body.subarray(65_530, 65_546))).toBe(true);
    const into = Buffer.alloc(body.length);
    expect((await readWhole(into)).buffer).toBe(into.buffer);
    expect(into.equals(body)).toBe(true);
    // A part is read in whole blocks, which do not fit the given buffer.
    const part = Buffer.alloc(16, "-");
    expect((await reader.read(65_530, 65_545, part)).equals(body.subarray(65_530, 65_546))).toBe(true);
    reader.close();
    readers.close();
  });

  test("readRecent() returns its bytes in the given buffer, if it was read and is still open", async () => {
    const { readers, reader } = await open();
    const into = Buffer.alloc(body.length);
    expect(readers.readRecent(hashes.sha256, body.length, into)).toBe(into);
    expect(into.equals(body)).toBe(true);
    expect(readers.readRecent(hashes.sha256, body.length)?.equals(body)).toBe(true);
    expect(readers.readRecent(hashes.sha256, body.length - 1)).toBeUndefined();
    expect(readers.readRecent("0".repeat(64), body.length)).toBeUndefined();
    readers.forget([hashes.sha256]);
    expect(readers.readRecent(hashes.sha256, body.length)).toBeUndefined();
    reader.close();
    const again = await readers.open(hashes.sha256, body.length);
    expect(readers.readRecent(hashes.sha256, body.length)).toBeUndefined();
    again?.close();
    readers.close();
  });

  test.each([
    [
      "changed",
      (bytes: Buffer) => Buffer.concat([bytes.subarray(0, -1), Buffer.from([~bytes.at(-1)! & 255])]),
      /block 1/,
    ],
    ["cut short", (bytes: Buffer) => bytes.subarray(0, 70_000), /ends at byte 70000/],
  ])("is not returned if it was %s in between", async (_, change, found) => {
    const { path, damages, readers, reader, readWhole } = await open();
    await writeFile(path, change(body));
    expect(readers.readRecent(hashes.sha256, body.length)).toBeUndefined();
    expect(damages).toEqual([]);
    await expect(readWhole()).rejects.toMatchObject({ code: "store_corrupt" });
    expect(damages).toEqual([expect.stringMatching(found)]);
    reader.close();
    readers.close();
  });
});

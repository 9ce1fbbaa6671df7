// Reading what a far store has by way of this disk, and without it where it takes nothing.
import { afterEach, expect, test, vi } from "vitest";
import type { RemoteBucket } from "../../../../../src/bucket/remote/remote.ts";
import { createDownloads } from "../../../../../src/bucket/tier/reading/download.ts";
import { createLatch, diskError, testPool } from "../../../../helpers/spools.ts";
import { infoOf, randomBytes, readAll, wholeBody } from "../../../../helpers/whole-body.ts";

const PIECE_BYTES = 65_536;
afterEach(() => vi.useRealTimers());

/** `rest`: what the pieces behind the first wait for. */
function lab(bytes: Buffer, disk = {}, rest: Promise<void> = Promise.resolve(), maxKeptBytes = 10_000_000) {
  async function* pieces() {
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      yield bytes.subarray(at, at + PIECE_BYTES);
      await new Promise((resolve) => setImmediate(resolve));
      await rest;
    }
  }
  const asked: string[] = [];
  const get: RemoteBucket["get"] = async () => {
    asked.push("whole");
    return pieces();
  };
  const getRange: RemoteBucket["getRange"] = async (_key, _version, { start, end }) => {
    asked.push("range");
    return bytes.subarray(start, end + 1);
  };
  const pool = testPool({ disk });
  const downloads = createDownloads({
    remote: { get, getRange } as unknown as RemoteBucket, // nothing else is asked of it
    spools: pool,
    maxCopyBytes: () => maxKeptBytes,
    moment: () => 0,
    storeCopy: async () => undefined,
    onDamaged() {},
  });
  return { downloads, pool, asked, info: infoOf("a.jpg", wholeBody(bytes)) };
}

const FULL = { open: () => Promise.reject(diskError("ENOSPC")) };

test.each([300_000, 1_500_000, 3_500_000])("%i bytes are read also where the disk takes nothing", async (size) => {
  const bytes = randomBytes(size);
  const { downloads, info, pool } = lab(bytes, FULL);
  for (const open of [downloads.open, downloads.downloadWhole]) {
    const reader = await open(info, "1");
    expect((await readAll(reader, size)).equals(bytes)).toBe(true);
    reader?.close();
  }
  const part = await downloads.open(info, "1");
  await part?.proven?.();
  expect((await part?.read(70_000, 79_999))?.equals(bytes.subarray(70_000, 80_000))).toBe(true);
  part?.close();
  await expect.poll(() => pool.usage.spools).toBe(0);
});

test("bring() has all of it on a disk that works, whoever has it read meanwhile", async () => {
  const bytes = randomBytes(1_500_000);
  const { downloads, info, pool, asked } = lab(bytes);
  const reader = await downloads.downloadWhole(info, "1");
  expect((await readAll(reader, bytes.length)).equals(bytes)).toBe(true);
  reader?.close();
  expect(asked).toEqual(["whole"]);
  await expect.poll(() => pool.usage.spools).toBe(0);
});

test.each([
  ["is kept", 10_000_000],
  ["is too large to be kept", 100_000],
])(
  "who waits for all of what %s is told in time that it comes too slowly, and it comes behind",
  async (_what, maxKept) => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const bytes = randomBytes(300_000);
    const rest = createLatch();
    const { downloads, info, asked, pool } = lab(bytes, {}, rest.opened, maxKept);
    const first = await downloads.open(info, "1");
    const proven = first?.proven?.();
    const told = expect(proven).rejects.toMatchObject({ code: "store_failed" });
    vi.advanceTimersByTime(45_000);
    await told;
    const second = await downloads.open(info, "1");
    rest.open();
    await second?.proven?.();
    expect((await second?.read(1_000, 1_999))?.equals(bytes.subarray(1_000, 2_000))).toBe(true);
    expect(asked.filter((what) => what === "whole")).toHaveLength(1);
    first?.close();
    second?.close();
    await expect.poll(() => pool.usage.spools).toBe(0);
  },
);

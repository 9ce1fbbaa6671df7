// What may be stored, and what may pass through, where the disk is fuller than the settings allow.
import { statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { expect, test } from "vitest";
import { createFreeSpace } from "../../../../src/bucket/fs/free-space.ts";

const dir = tmpdir();
const MIB = 1_048_576;

test("check() throws store_full where less than the minimum is free", async () => {
  await createFreeSpace({ dir, minFreeBytes: 1 }).check();
  const full = createFreeSpace({ dir, minFreeBytes: Number.MAX_SAFE_INTEGER });
  await expect(full.check()).rejects.toMatchObject({ code: "store_full" });
});

test.each([
  ["there is no minimum", 0],
  ["more is free", 1],
])("roomToPass() has no bound where %s", async (_name, minFreeBytes) => {
  const space = createFreeSpace({ dir, minFreeBytes });
  await space.check();
  expect(space.spoolAllowance()).toBe(Number.POSITIVE_INFINITY);
});

test("roomToPass() is what is free where that is less than the minimum, and 512 MiB at the most", async () => {
  const space = createFreeSpace({ dir, minFreeBytes: Number.MAX_SAFE_INTEGER });
  await space.check().catch(() => undefined); // As above; now it has been asked.
  const { bavail, bsize } = await statfs(dir);
  // Others write to it too.
  if (bavail * bsize > 600 * MIB) expect(space.spoolAllowance()).toBe(512 * MIB);
  else expect(Math.abs(space.spoolAllowance() - bavail * bsize)).toBeLessThan(64 * MIB);
});

test("roomToPass() does not wait for the disk, and has no bound before it has answered", async () => {
  const space = createFreeSpace({ dir, minFreeBytes: Number.MAX_SAFE_INTEGER });
  expect(space.spoolAllowance()).toBe(Number.POSITIVE_INFINITY);
  await space.check().catch(() => undefined); // store_full
  expect(space.spoolAllowance()).toBeLessThanOrEqual(512 * MIB);
});

test("roomToPass() of a disk that does not answer has no bound, and throws nothing", async () => {
  const space = createFreeSpace({ dir: "/nowhere/at/all", minFreeBytes: 1 });
  expect(space.spoolAllowance()).toBe(Number.POSITIVE_INFINITY);
  await expect(space.check()).rejects.toMatchObject({ code: "store_failed" });
});

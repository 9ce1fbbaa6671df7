// Storing and spooling when less disk is free than the settings allow.
import { statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { expect, test } from "vitest";
import { createFreeSpace } from "../../../../../src/serve/bucket/fs/free-space.ts";

const dir = tmpdir();
const MIB = 1_048_576;

test("check() throws store_full if less than the minimum is free", async () => {
  await createFreeSpace(dir, 1).check();
  const full = createFreeSpace(dir, Number.MAX_SAFE_INTEGER);
  await expect(full.check()).rejects.toMatchObject({ code: "store_full" });
});

test.each([
  ["there is no minimum", 0],
  ["more is free", 1],
])("spoolAllowance() is unbounded if %s", async (_name, minFreeBytes) => {
  const space = createFreeSpace(dir, minFreeBytes);
  await space.check();
  expect(space.spoolAllowance()).toBe(Number.POSITIVE_INFINITY);
});

test("spoolAllowance() is the free space below the minimum, at most 512 MiB", async () => {
  const space = createFreeSpace(dir, Number.MAX_SAFE_INTEGER);
  await space.check()?.catch(() => undefined); // It throws store_full; now the disk's state is known.
  const { bavail, bsize } = await statfs(dir);
  // Other processes write to the disk too.
  if (bavail * bsize > 600 * MIB) expect(space.spoolAllowance()).toBe(512 * MIB);
  else expect(Math.abs(space.spoolAllowance() - bavail * bsize)).toBeLessThan(64 * MIB);
});

test("spoolAllowance() does not wait for the disk, and is unbounded until it has answered", async () => {
  const space = createFreeSpace(dir, Number.MAX_SAFE_INTEGER);
  expect(space.spoolAllowance()).toBe(Number.POSITIVE_INFINITY);
  await space.check()?.catch(() => undefined); // store_full
  expect(space.spoolAllowance()).toBeLessThanOrEqual(512 * MIB);
});

test("spoolAllowance() is unbounded, and does not throw, if the disk cannot be read", async () => {
  const space = createFreeSpace("/nowhere/at/all", 1);
  expect(space.spoolAllowance()).toBe(Number.POSITIVE_INFINITY);
  await expect(space.check()).rejects.toMatchObject({ code: "store_failed" });
});

test("read() reports the free bytes and the minimum, or nothing for a folder that is gone", async () => {
  const { bavail, bsize } = await statfs(dir);
  const space = await createFreeSpace(dir, 7).read();
  expect(space?.minFreeBytes).toBe(7);
  // Other processes write to the disk too.
  expect(Math.abs((space?.freeBytes ?? 0) - bavail * bsize)).toBeLessThan(2_000 * MIB);
  expect(await createFreeSpace("/nowhere/at/all", 7).read()).toBeUndefined();
});

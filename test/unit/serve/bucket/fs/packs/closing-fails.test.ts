// An error of close() does not affect bytes that were synced before, and the descriptor is released in any case.
import fs from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { syncFile, writeSyncedFile } from "../../../../../../src/core/files.ts";
import { blobPath, packPath } from "../../../../../../src/serve/bucket/fs/blob-places.ts";
import { createBlobReaders } from "../../../../../../src/serve/bucket/fs/packs/blob-reader.ts";
import { openPackFolder } from "../../../../../../src/serve/bucket/fs/packs/pack-folder.ts";
import { eventually } from "../../../../../helpers/program.ts";

const { closeSync, fstatSync } = fs;
let dir: string;
/** Paths of the descriptors that were closed; undefined for a descriptor that was not open. */
let closed: (string | undefined)[];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "huiyuan-closing-"));
  closed = [];
});

afterEach(async () => {
  fs.closeSync = closeSync;
  fs.fstatSync = fstatSync;
  syncBuiltinESMExports();
  await rm(dir, { recursive: true });
});

/** As Linux behaves when a disk fails: the descriptor is released, and close() reports EIO. */
function closingFails(): void {
  fs.closeSync = (descriptor) => {
    closed.push(pathOf(descriptor));
    closeSync(descriptor);
    throw new Error("EIO: i/o error, close");
  };
  syncBuiltinESMExports();
}

function pathOf(descriptor: number): string | undefined {
  try {
    return fs.readlinkSync(`/proc/self/fd/${descriptor}`);
  } catch {
    return undefined;
  }
}

test("a pack is closed once, and flushed bytes stay stored", async () => {
  await mkdir(join(dir, "packs"));
  // The first flush of each pack also opens and closes the folder to sync it.
  const folder = openPackFolder(dir, 0, 3 * 4_096);
  for (const text of ["first", "second"]) {
    folder.append(Buffer.from(text));
    folder.flush();
  }
  closingFails();
  const place = folder.append(Buffer.from("third"));
  folder.flush();
  folder.flush();
  folder.close();
  expect(closed).toEqual([packPath(dir, 1)]);
  expect((await readFile(packPath(dir, place.pack))).subarray(place.at).toString()).toBe("third");
});

test("close() closes a growing pack once", async () => {
  await mkdir(join(dir, "packs"));
  const folder = openPackFolder(dir, 0);
  folder.append(Buffer.from("a"));
  folder.flush();
  closingFails();
  folder.close();
  folder.close();
  expect(closed).toEqual([packPath(dir, 1)]);
});

test("a blob's file is closed if fstat() fails", async () => {
  const sha256 = "ab".repeat(32);
  const path = blobPath(dir, sha256);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, "bytes");
  const blob = () => ({ place: undefined, sums: Buffer.alloc(4), isDamaged: false });
  const readers = createBlobReaders({ dataDir: dir, blob, onDamage: async () => {} });
  fs.fstatSync = () => {
    throw new Error("EIO: i/o error, fstat");
  };
  syncBuiltinESMExports();
  await expect(readers.open(sha256, 5)).rejects.toMatchObject({ code: "store_failed" });
  const open = () => fs.readdirSync("/proc/self/fd").map((name) => pathOf(Number(name)));
  await eventually(() => !open().includes(path), "it is closed");
});

test.each([
  ["writeSyncedFile()", (path: string) => writeSyncedFile(path, Buffer.from("bytes"))],
  [
    "syncFile()",
    async (path: string) => {
      await writeFile(path, "bytes");
      await syncFile(path);
    },
  ],
])("%s: a synced file exists although close() fails", async (_, write) => {
  closingFails();
  const path = join(dir, "file");
  await write(path);
  expect(await readFile(path, "utf8")).toBe("bytes");
  expect(closed).toEqual([path]);
});

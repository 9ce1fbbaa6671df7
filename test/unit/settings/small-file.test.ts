import { execFileSync } from "node:child_process";
import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { MAX_FILE_BYTES, readSmallFile, readSmallFileSync } from "../../../src/settings/small-file.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "huiyuan-small-"));
});
afterEach(() => rm(dir, { recursive: true }));

async function bothFailWith(path: string, code: string): Promise<void> {
  expect(() => readSmallFileSync(path)).toThrow(expect.objectContaining({ code }));
  await expect(readSmallFile(path)).rejects.toMatchObject({ code });
}

test("readSmallFile() reads a file of the largest size, and refuses one byte more", async () => {
  const file = join(dir, "secret");
  await writeFile(file, "abc");
  expect(readSmallFileSync(file)).toBe("abc");
  await truncate(file, MAX_FILE_BYTES);
  expect((await readSmallFile(file)).length).toBe(MAX_FILE_BYTES);
  await truncate(file, MAX_FILE_BYTES + 1);
  await bothFailWith(file, "EFBIG");
});

test("readSmallFile() refuses an endless device and a pipe without a writer", async () => {
  await bothFailWith("/dev/zero", "no plain file");
  const pipe = join(dir, "pipe");
  execFileSync("mkfifo", [pipe]);
  await bothFailWith(pipe, "no plain file");
});

test("readSmallFile() rejects a missing file and a folder with the system's code", async () => {
  await bothFailWith(join(dir, "none"), "ENOENT");
  await bothFailWith(dir, "EISDIR");
});

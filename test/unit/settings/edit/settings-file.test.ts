// A reader of a replaced file sees the old bytes or the new ones, and a refused replacement leaves nothing behind.
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readOnlyReason, replaceFile } from "../../../../src/settings/edit/settings-file.ts";

let folder: string;
let file: string;
const TEXTS = ["a".repeat(300_000), "b".repeat(200_000)] as const;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "huiyuan-test-"));
  file = join(folder, "huiyuan.yaml");
  await writeFile(file, TEXTS[0]);
});
afterEach(() => rm(folder, { recursive: true }));

test("replaceFile() lets no reader see a part, and leaves a file with the name of a temporary one alone", async () => {
  await writeFile(`${file}.new`, "left");
  let isDone = false;
  const seen = new Set<string>();
  const reading = (async () => {
    while (!isDone) seen.add(await readFile(file, "utf8"));
  })();
  for (let round = 0; round < 40; round += 1)
    expect(await replaceFile(file, TEXTS[(round + 1) % 2] ?? "", async () => true)).toBe(true);
  isDone = true;
  await reading;
  expect([...seen].map((text) => TEXTS.indexOf(text as (typeof TEXTS)[0])).sort()).toEqual([0, 1]);
  // The file of another program, or of its crash, is not ours to remove.
  expect((await readdir(folder)).sort()).toEqual(["huiyuan.yaml", "huiyuan.yaml.new"]);
  expect(await readFile(`${file}.new`, "utf8")).toBe("left");
});

test("replaceFile() changes nothing if the file is another one now, or the check fails", async () => {
  expect(await replaceFile(file, "new", async () => false)).toBe(false);
  const broken = replaceFile(file, "new", () => Promise.reject(new Error("no")));
  await expect(broken).rejects.toMatchObject({ code: "store_failed" });
  expect(await readFile(file, "utf8")).toBe(TEXTS[0]);
  expect(await readdir(folder)).toEqual(["huiyuan.yaml"]);
});

test("readOnlyReason() names the reason, also for a file that is gone", async () => {
  expect(await readOnlyReason(file)).toBeUndefined();
  await rm(file);
  expect(await readOnlyReason(file)).toContain("ENOENT");
});

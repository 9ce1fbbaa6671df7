import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { countLines, inBatches, linesOf } from "../../../../../src/operate/images/commands/name-list.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "huiyuan-names-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function listOf(content: string | Buffer): Promise<string> {
  const file = join(folder, "list.txt");
  await writeFile(file, content);
  return file;
}

async function namesIn(content: string | Buffer): Promise<string[]> {
  const names: string[] = [];
  for await (const name of linesOf(await listOf(content))) names.push(name);
  return names;
}

test.each([
  ["lines of any system", "a.jpg\nb.jpg\r\nc.jpg", ["a.jpg", "b.jpg", "c.jpg"]],
  ["blank lines", "\n \r\na.jpg\n\t\n", ["a.jpg"]],
  ["blanks inside a name", " a.jpg \n", [" a.jpg "]],
  ["a byte order mark", "\ufeffd/9.jpg\r\nb.jpg\r\n", ["d/9.jpg", "b.jpg"]],
  [
    "characters that other programs take for the end of a line",
    "a\u2028b.jpg\nc\u0085d.jpg\n",
    ["a\u2028b.jpg", "c\u0085d.jpg"],
  ],
  ["an empty file", "", []],
])("linesOf() reads %s", async (_what, content, names) => {
  expect(await namesIn(content)).toEqual(names);
  expect(await countLines(await listOf(content))).toBe(names.length);
});

test("linesOf() reads characters that cross chunk boundaries", async () => {
  const names = Array.from({ length: 20_000 }, (_, index) => `${index}/图片.jpg`);
  expect(await namesIn(names.join("\n"))).toEqual(names);
});

test.each([
  [
    "what is not UTF-8, as Chinese Windows writes it",
    Buffer.from([0x61, 0x0a, 0xd6, 0xd0, 0xce, 0xc4, 0x2f, 0x31, 0x0a]),
    /not UTF-8.*save it as UTF-8/,
  ],
  ["a character that is cut off", Buffer.from([0x61, 0xe5, 0x9b]), /not UTF-8/],
  ["a line without end", `a.jpg\n${"x".repeat(200_000)}`, /line 2 of the list is longer/],
  ["a line that is too long", `a.jpg\n${"x".repeat(8_193)}\nb.jpg`, /line 2 of the list is longer/],
])("linesOf() refuses %s", async (_what, content, message) => {
  await expect(namesIn(content)).rejects.toMatchObject({
    code: "request_invalid",
    message: expect.stringMatching(message),
  });
});

test("linesOf() names the file that cannot be read", async () => {
  const file = join(folder, "missing.txt");
  await expect(countLines(file)).rejects.toMatchObject({
    code: "request_invalid",
    message: `Cannot read the list "${file}": ENOENT`,
  });
});

test("inBatches() keeps to the server's limits", async () => {
  const sizes: number[] = [];
  for await (const batch of inBatches(Array.from({ length: 2_500 }, (_, index) => `${index}`)))
    sizes.push(batch.length);
  expect(sizes).toEqual([1_000, 1_000, 500]);
});

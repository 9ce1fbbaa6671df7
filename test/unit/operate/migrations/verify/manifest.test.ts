import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createManifest, manifestLine } from "../../../../../src/operate/migrations/verify/manifest.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "huiyuan-manifest-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

test("manifestLine() escapes names as sha256sum does", () => {
  expect(manifestLine("a b.jpg", "00")).toBe("00  a b.jpg");
  expect(manifestLine("a\\b\nc", "00")).toBe("\\00  a\\\\b\\nc");
});

test("a manifest has its name once it is finished, its lines, and their number", () => {
  const path = join(dir, "photos.sha256");
  const manifest = createManifest(path);
  const keys = Array.from({ length: 5_000 }, (_, number) => `图/${String(number).padStart(5, "0")}.jpg`);
  const lines = keys.map((key) => `${sha256(key)}  ${key}`);
  for (const key of keys) manifest.add(key, sha256(key));
  expect(readdirSync(dir)).toEqual(["photos.sha256.new"]);
  expect(manifest.finish()).toBe(5_000);
  manifest.discard();
  expect(readdirSync(dir)).toEqual(["photos.sha256"]);
  expect(readFileSync(path, "utf8")).toBe(`${[...lines, "# objects: 5000"].join("\n")}\n`);
});

test("an unfinished manifest is removed, and leaves an earlier one", () => {
  const path = join(dir, "photos.sha256");
  createManifest(path).finish();
  const before = readFileSync(path, "utf8");
  const manifest = createManifest(path);
  manifest.add("a", "00");
  manifest.discard();
  expect(readdirSync(dir)).toEqual(["photos.sha256"]);
  expect(readFileSync(path, "utf8")).toBe(before);
  expect(() => createManifest(join(dir, "none/photos.sha256"))).toThrow(/Cannot write the manifest .*ENOENT/);
});

test("a folder of the same name is refused at the start, and is the error if it comes later", () => {
  const path = join(dir, "photos.sha256");
  const manifest = createManifest(path);
  mkdirSync(path);
  expect(() => createManifest(path)).toThrow(/Cannot write the manifest .*it is a folder/);
  expect(() => manifest.finish()).toThrow(/Cannot write the manifest .*EISDIR/);
  manifest.discard();
  expect(readdirSync(dir)).toEqual(["photos.sha256"]);
});

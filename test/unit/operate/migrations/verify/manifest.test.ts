import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  createManifest,
  createMerkleTree,
  manifestLine,
} from "../../../../../src/operate/migrations/verify/manifest.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "huiyuan-manifest-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

const sha256 = (...parts: readonly Uint8Array[]) => createHash("sha256").update(Buffer.concat(parts)).digest();
const rootOf = (entries: readonly Buffer[]) => {
  const tree = createMerkleTree();
  for (const entry of entries) tree.add(entry);
  return tree.root().toString("hex");
};

/** The definition of RFC 9162 §2.1.1, word by word. */
function mth(entries: readonly Buffer[]): Buffer {
  if (entries.length === 0) return sha256();
  if (entries.length === 1) return sha256(Buffer.of(0), entries[0]!);
  let k = 1;
  while (2 * k < entries.length) k *= 2;
  return sha256(Buffer.of(1), mth(entries.slice(0, k)), mth(entries.slice(k)));
}

test("the roots are those of the test vectors of Certificate Transparency", () => {
  const entries = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
  ].map((hex) => Buffer.from(hex, "hex"));
  // github.com/google/certificate-transparency, merkle_tree_test: the roots of the first n entries.
  expect(Array.from({ length: 9 }, (_, count) => rootOf(entries.slice(0, count)))).toEqual([
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
  ]);
});

test("the streamed root is that of the recursive definition for every number of entries up to 130", () => {
  const entries = Array.from({ length: 130 }, (_, number) => Buffer.from(`entry ${number}`));
  for (let count = 0; count <= entries.length; count += 1)
    expect(rootOf(entries.slice(0, count)), `${count} entries`).toBe(mth(entries.slice(0, count)).toString("hex"));
});

test("manifestLine() escapes names as sha256sum does", () => {
  expect(manifestLine("a b.jpg", "00")).toBe("00  a b.jpg");
  expect(manifestLine("a\\b\nc", "00")).toBe("\\00  a\\\\b\\nc");
});

test("a manifest has its name once it is finished, its lines, and the root over them", () => {
  const path = join(dir, "photos.sha256");
  const manifest = createManifest(path);
  const keys = Array.from({ length: 5_000 }, (_, number) => `图/${String(number).padStart(5, "0")}.jpg`);
  const lines = keys.map((key) => `${sha256(Buffer.from(key)).toString("hex")}  ${key}`);
  for (const key of keys) manifest.add(key, sha256(Buffer.from(key)).toString("hex"));
  expect(readdirSync(dir)).toEqual(["photos.sha256.new"]);
  const root = mth(lines.map((line) => Buffer.from(line))).toString("hex");
  expect(manifest.finish()).toEqual({ objects: 5_000, root });
  manifest.discard();
  expect(readdirSync(dir)).toEqual(["photos.sha256"]);
  const last = `# objects: 5000, Merkle root (RFC 9162, SHA-256): ${root}`;
  expect(readFileSync(path, "utf8")).toBe(`${[...lines, last].join("\n")}\n`);
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

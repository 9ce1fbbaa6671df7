// Hashes and block sums equal those of node:crypto and zlib, for every division into chunks, in memory and on disk.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { DigestName } from "../../../../../src/core/object.ts";
import { createBodyHasher, digestBytes, hashFile } from "../../../../../src/serve/body/spool/hashing.ts";
import { testPool } from "../../../../helpers/spools.ts";
import { randomBytes, wholeBody } from "../../../../helpers/whole-body.ts";

/** Chunk sizes around every bound: single bytes, merged small chunks, blocks. */
const chunkSizes = fc.array(
  fc.oneof(
    fc.integer({ min: 1, max: 40 }),
    fc.integer({ min: 1_000, max: 1_100 }),
    fc.integer({ max: 150_000, min: 1 }),
  ),
  { maxLength: 25 },
);

function cut(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  let at = 0;
  return sizes.map((size) => {
    at += size;
    return bytes.subarray(at - size, at);
  });
}

const sum = (sizes: readonly number[]) => sizes.reduce((total, size) => total + size, 0);

test("finish() returns the hashes and block sums of the bytes, in memory and on disk", async () => {
  const pool = testPool();
  await fc.assert(
    fc.asyncProperty(chunkSizes, async (sizes) => {
      const bytes = randomBytes(sum(sizes));
      const { content, ...expected } = wholeBody(bytes);
      const spool = pool.open();
      for (const chunk of cut(bytes, sizes)) if (!spool.write(chunk)) await spool.drained();
      const body = await spool.finish();
      expect(body).toMatchObject(expected);
      expect(body.content.kind).toBe(bytes.byteLength > 262_144 ? "file" : "buffer");
      if (body.content.kind === "file") expect(await hashFile(body.content.path)).toEqual(body);
      spool.release();
    }),
    { numRuns: 60 },
  );
  expect(pool.usage).toEqual({ spools: 0, bytes: 0 });
});

test.each([0, 1, 65_535, 65_536, 65_537, 131_072, 600_000])("digests of %d bytes agree", async (size) => {
  const bytes = randomBytes(size);
  const { hashes, blockSums } = wholeBody(bytes);
  const hasher = createBodyHasher();
  for (let at = 0; at < size; at += 50_000) hasher.update(bytes.subarray(at, at + 50_000));
  const path = join(testPool().dir, "body");
  writeFileSync(path, bytes);
  expect(digestBytes(bytes)).toEqual({ hashes, blockSums });
  expect(hasher.digest()).toEqual({ hashes, blockSums });
  expect(await hashFile(path)).toEqual({ size, hashes, blockSums, content: { kind: "file", path } });
});

test.each([10, 600_000])(
  "finish() of %d bytes computes the digests of the pool and of the spool, and no others",
  async (size) => {
    const bytes = randomBytes(size);
    const { sha256, md5, sha1 } = wholeBody(bytes).hashes;
    const finish = async (always: readonly DigestName[], more: readonly DigestName[]) => {
      const spool = testPool({ digests: new Set(always) }).open({ digests: more });
      if (!spool.write(bytes)) await spool.drained();
      const { hashes } = await spool.finish();
      spool.release();
      return hashes;
    };
    expect(await finish([], [])).toEqual({ sha256, md5: undefined, sha1: undefined });
    expect(await finish(["md5"], [])).toEqual({ sha256, md5, sha1: undefined });
    expect(await finish([], ["sha1"])).toEqual({ sha256, md5: undefined, sha1 });
    expect(await finish(["md5"], ["sha1", "md5"])).toEqual({ sha256, md5, sha1 });
  },
);

test("hashFile() throws store_failed for a file that does not exist", async () => {
  await expect(hashFile(join(testPool().dir, "none"))).rejects.toMatchObject({ code: "store_failed" });
});

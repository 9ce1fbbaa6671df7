// A remote store that sends more bytes than an object has: reading stops at the first excess chunk.
import { expect, test } from "vitest";
import { toKey } from "../../../../../../src/core/object.ts";
import type { RemoteBucket } from "../../../../../../src/serve/bucket/remote/remote.ts";
import { createDownloads } from "../../../../../../src/serve/bucket/tier/reading/download.ts";
import { describeForeign } from "../../../../../../src/serve/bucket/tier/reading/foreign.ts";
import { noisyJpeg } from "../../../../../helpers/images.ts";
import { testPool } from "../../../../../helpers/spools.ts";
import { infoOf, randomBytes, wholeBody } from "../../../../../helpers/whole-body.ts";

const PIECE = Buffer.alloc(65_536, 7);
/** Bounds the body, so that the test ends even if reading does not stop. */
const MAX_PIECES = 1_000;

/** Sends `bytes`, then many more chunks. `sent` counts these and tells whether reading stopped. */
function endless(bytes: Buffer) {
  const sent = { pieces: 0, isLeft: false };
  async function* body() {
    try {
      yield bytes;
      for (; sent.pieces < MAX_PIECES; sent.pieces += 1) yield PIECE;
    } finally {
      sent.isLeft = sent.pieces < MAX_PIECES;
    }
  }
  const remote = { get: async () => body() } as unknown as RemoteBucket; // no other method is called
  return { remote, sent };
}

function downloadsOf(remote: RemoteBucket) {
  const pool = testPool();
  const damaged: string[] = [];
  const kept: string[] = [];
  const downloads = createDownloads({
    remote,
    spools: pool,
    beginRead: () => ({ revision: 0, at: 0 }),
    storeCopy: async ({ key }) => void kept.push(key),
    onDamaged: ({ key }) => void damaged.push(key),
  });
  return { downloads, pool, damaged, kept };
}

test.each([300_000, 3_500_000])("proven() of %i bytes throws store_corrupt and stores no copy", async (size) => {
  const bytes = randomBytes(size);
  const { remote, sent } = endless(bytes);
  const { downloads, pool, damaged, kept } = downloadsOf(remote);
  const reader = await downloads.open(infoOf("a.jpg", wholeBody(bytes)), "1");
  await expect(reader?.proven?.()).rejects.toMatchObject({ code: "store_corrupt" });
  reader?.close();
  expect(sent).toEqual({ pieces: 0, isLeft: true });
  expect([damaged, kept]).toEqual([["a.jpg"], []]);
  await expect.poll(() => pool.usage.spools).toBe(0);
});

test("describeForeign() throws store_failed", async () => {
  const jpeg = await noisyJpeg(64, 48);
  const { remote, sent } = endless(jpeg);
  const pool = testPool();
  const found = { state: "foreign", size: jpeg.length, modifiedAt: 0, version: "1" } as const;
  const described = describeForeign(toKey("a.jpg"), found, { remote, spools: pool, storeCopy: async () => undefined });
  await expect(described).rejects.toMatchObject({ code: "store_failed" });
  expect(sent).toEqual({ pieces: 0, isLeft: true });
  await expect.poll(() => pool.usage.spools).toBe(0);
});

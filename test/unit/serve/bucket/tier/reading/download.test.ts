// Downloads from a remote store, with a working disk and with one that accepts no bytes.
import { afterEach, expect, test, vi } from "vitest";
import type { RemoteBucket } from "../../../../../../src/serve/bucket/remote/remote.ts";
import { createDownloads } from "../../../../../../src/serve/bucket/tier/reading/download.ts";
import { createLatch, diskError, testPool } from "../../../../../helpers/spools.ts";
import { infoOf, randomBytes, readAll, wholeBody } from "../../../../../helpers/whole-body.ts";

const PIECE_BYTES = 65_536;
afterEach(() => vi.useRealTimers());

/** In the first download all chunks but the first wait for `rest`. */
function lab(
  bytes: Buffer,
  { disk, maxTransientBytes }: Parameters<typeof testPool>[0] = {},
  rest: Promise<void> = Promise.resolve(),
) {
  async function* pieces(wait?: Promise<void>) {
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      yield bytes.subarray(at, at + PIECE_BYTES);
      await new Promise((resolve) => setImmediate(resolve));
      await wait;
    }
  }
  const damaged: string[] = [];
  const copied: string[] = [];
  const get = vi.fn(async () => pieces(get.mock.calls.length === 1 ? rest : undefined));
  const pool = testPool({ ...(disk && { disk }), ...(maxTransientBytes && { maxTransientBytes }) });
  const downloads = createDownloads({
    remote: { get } as unknown as RemoteBucket, // no other method is called
    spools: pool,
    beginRead: () => ({ revision: 0, at: 0 }),
    storeCopy: async ({ key }) => void copied.push(key),
    onDamaged: ({ key }) => void damaged.push(key),
  });
  return { downloads, pool, get, damaged, copied, info: infoOf("a.jpg", wholeBody(bytes)) };
}

const FULL = { disk: { open: () => Promise.reject(diskError("ENOSPC")) } };

test.each([300_000, 1_500_000, 3_500_000])("open() reads %i bytes on a full disk", async (size) => {
  const bytes = randomBytes(size);
  const { downloads, info, pool } = lab(bytes, FULL);
  for (const isProvenFirst of [false, true]) {
    const reader = await downloads.open(info, "1");
    if (isProvenFirst) await reader?.proven?.();
    expect((await readAll(reader, size)).equals(bytes)).toBe(true);
    reader?.close();
  }
  const part = await downloads.open(info, "1");
  await part?.proven?.();
  expect((await part?.read(70_000, 79_999))?.equals(bytes.subarray(70_000, 80_000))).toBe(true);
  part?.close();
  await expect.poll(() => pool.usage.spools).toBe(0);
});

test("a download that neither a full disk nor memory has room for is not_kept, and not taken for damaged", async () => {
  const bytes = randomBytes(3_500_000);
  const { downloads, info, pool, damaged } = lab(bytes, { ...FULL, maxTransientBytes: 1_000_000 });
  const reader = await downloads.open(info, "1");
  await expect(reader?.proven?.()).rejects.toMatchObject({ code: "not_kept", retryAfterSeconds: 1 });
  reader?.close();
  await expect.poll(() => pool.usage).toEqual({ spools: 0, bytes: 0 });
  expect(damaged).toEqual([]);
});

test("proven() downloads the object with one request, and reads send none", async () => {
  const bytes = randomBytes(1_500_000);
  const { downloads, info, pool, get } = lab(bytes);
  const reader = await downloads.open(info, "1");
  await reader?.proven?.();
  expect((await readAll(reader, bytes.length)).equals(bytes)).toBe(true);
  reader?.close();
  expect(get).toHaveBeenCalledOnce();
  await expect.poll(() => pool.usage.spools).toBe(0);
});

test("proven() of a slow object rejects in time, and the download continues beside that of the next reader", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const bytes = randomBytes(300_000);
  const rest = createLatch();
  const { downloads, info, get, pool, copied } = lab(bytes, {}, rest.opened);
  const first = await downloads.open(info, "1");
  const proven = first?.proven?.();
  const rejected = expect(proven).rejects.toMatchObject({ code: "store_failed" });
  vi.advanceTimersByTime(45_000);
  await rejected;
  first?.close();
  const second = await downloads.open(info, "1");
  await second?.proven?.();
  expect((await second?.read(1_000, 1_999))?.equals(bytes.subarray(1_000, 2_000))).toBe(true);
  second?.close();
  expect(get).toHaveBeenCalledTimes(2);
  expect(copied).toEqual(["a.jpg"]);
  rest.open();
  await expect.poll(() => pool.usage.spools).toBe(0);
  expect(copied).toEqual(["a.jpg", "a.jpg"]);
});

test("open() shares a download for 40 s", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const rest = createLatch();
  const { downloads, info, get } = lab(randomBytes(300_000), {}, rest.opened);
  const readers = [await downloads.open(info, "1")];
  vi.advanceTimersByTime(39_000);
  readers.push(await downloads.open(info, "1"));
  expect(get).toHaveBeenCalledOnce();
  rest.open();
  for (const reader of readers) {
    await reader?.proven?.();
    reader?.close();
  }
  expect(vi.getTimerCount()).toBe(0);
});

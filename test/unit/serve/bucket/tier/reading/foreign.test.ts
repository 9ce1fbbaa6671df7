// Objects of other tools that cannot be read: they do not count as absent.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { toKey } from "../../../../../../src/core/object.ts";
import type { RemoteStore } from "../../../../../../src/serve/bucket/remote/remote.ts";
import { noisyJpeg } from "../../../../../helpers/images.ts";
import { openTestS3 } from "../../../../../helpers/s3-store.ts";
import { type ScriptedS3, startScriptedS3 } from "../../../../../helpers/scripted-s3.ts";
import { createLatch } from "../../../../../helpers/spools.ts";
import { openTiered, type TieredLab } from "../../../../../helpers/tiered-store.ts";
import { infoOf, wholeBody } from "../../../../../helpers/whole-body.ts";

const ID = "10001234/photos";
const A = toKey("a.jpg");
let dir: string;
let s3: ScriptedS3;
let remote: RemoteStore;
let lab: TieredLab;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "huiyuan-foreign-"));
  s3 = await startScriptedS3();
  remote = await openTestS3(s3, { bucket: "b" });
  lab = await openTiered(join(dir, "data"), remote);
});
afterEach(async () => {
  vi.useRealTimers();
  await lab.store.close();
  await s3.close();
  await rm(dir, { recursive: true });
});

test("a body that breaks off is a failure, and the next whole one is the object", async () => {
  const bytes = await noisyJpeg(160, 120);
  s3.objects.set(`${ID}/a.jpg`, { bytes, headers: {} });
  s3.cutAfter = 1_000;
  const bucket = lab.store.bucket(ID);
  expect(await bucket.lookup(A)).toMatchObject({ state: "absent", failure: { code: "store_failed" } });
  s3.cutAfter = undefined;
  expect(await bucket.lookup(A)).toMatchObject({ state: "object", info: { size: bytes.length } });
});

test("a body that is too slow is a failure, blocks no change of its key, and is read anew later", async () => {
  const bytes = await noisyJpeg(160, 120);
  s3.objects.set(`${ID}/a.jpg`, { bytes, headers: {} });
  const rest = createLatch();
  async function* slow() {
    yield bytes.subarray(0, 1_000);
    await rest.opened;
    yield bytes.subarray(1_000);
  }
  const get = vi.spyOn(remote.bucket(ID), "get").mockImplementation(async () => slow());
  const bucket = lab.store.bucket(ID);
  const upload = wholeBody(await noisyJpeg(120, 160));
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const found = bucket.lookup(A);
  const failed = expect(
    bucket.put(infoOf("a.jpg", upload, "upload"), upload, { when: "vacant" }),
  ).rejects.toMatchObject({
    code: "store_failed",
  });
  while (get.mock.calls.length < 2) await new Promise((resolve) => setImmediate(resolve));
  vi.advanceTimersByTime(45_000);
  expect(await found).toMatchObject({ state: "absent", failure: { code: "store_failed" } });
  await failed;
  vi.useRealTimers();
  // The body that was too slow is still being read.
  get.mockRestore();
  expect(await bucket.lookup(A)).toMatchObject({ state: "object", info: { size: bytes.length } });
  rest.open();
});

test("an upload is kept and served if a proxy sends Content-Length 0 for it", async () => {
  const bucket = lab.store.bucket(ID);
  const [upload, image] = [wholeBody(await noisyJpeg(160, 120)), wholeBody(await noisyJpeg(120, 160))];
  expect(await bucket.put(infoOf("a.jpg", upload, "upload"), upload, { when: "always" })).toBe("stored");
  await lab.store.close();
  s3.saysLength0 = true;
  lab = await openTiered(join(dir, "another"), await openTestS3(s3, { bucket: "b" }));
  const again = lab.store.bucket(ID);
  expect(await again.lookup(A)).toMatchObject({ state: "object", info: { size: upload.size } });
  expect(await again.put(infoOf("a.jpg", image), image, { when: "absent", epoch: 0 })).toBe("exists");
});

test("an upload that has lost its bytes is neither served nor replaced by the mirror, and can be deleted", async () => {
  const bucket = lab.store.bucket(ID);
  const [upload, image] = [wholeBody(await noisyJpeg(160, 120)), wholeBody(await noisyJpeg(120, 160))];
  await bucket.put(infoOf("a.jpg", upload, "upload"), upload, { when: "always" });
  await lab.store.close();
  const { headers = {} } = s3.objects.get(`${ID}/a.jpg`) ?? {};
  s3.objects.set(`${ID}/a.jpg`, { bytes: Buffer.alloc(0), headers });
  lab = await openTiered(join(dir, "another"), await openTestS3(s3, { bucket: "b" }));
  const again = lab.store.bucket(ID);
  const found = await again.lookup(A);
  if (found.state !== "object") throw new Error(`found ${found.state}`);
  const reader = await again.open(found.info);
  await expect(reader?.read(0, found.info.size - 1)).rejects.toMatchObject({ code: "store_corrupt" });
  reader?.close();
  expect(await again.put(infoOf("a.jpg", image), image, { when: "absent", epoch: 0 })).toBe("exists");
  expect(await again.delete(A, { deletedAt: 1, reason: "" })).toBe(true);
});

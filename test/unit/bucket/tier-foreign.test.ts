// Another tool's object that cannot be read is not one that is not there.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { toKey } from "../../../src/object.ts";
import { noisyJpeg } from "../../helpers/images.ts";
import { openTestS3 } from "../../helpers/s3-store.ts";
import { type ScriptedS3, startScriptedS3 } from "../../helpers/scripted-s3.ts";
import { openTiered, type TieredLab } from "../../helpers/tiered-store.ts";

const ID = "10001234/photos";
const A = toKey("a.jpg");
let dir: string;
let s3: ScriptedS3;
let lab: TieredLab;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "huiyuan-foreign-"));
  s3 = await startScriptedS3();
  lab = await openTiered(join(dir, "data"), await openTestS3(s3, { bucket: "b" }));
});
afterEach(async () => {
  await lab.store.close();
  await s3.close();
  await rm(dir, { recursive: true });
});

test("a body that breaks off is a failure, and the next that comes whole is the object", async () => {
  const bytes = await noisyJpeg(160, 120);
  s3.objects.set(`${ID}/a.jpg`, { bytes, headers: {} });
  s3.cutAfter = 1_000;
  const bucket = lab.store.bucket(ID);
  expect(await bucket.lookup(A)).toMatchObject({ state: "absent", failure: { code: "store_failed" } });
  s3.cutAfter = undefined;
  expect(await bucket.lookup(A)).toMatchObject({ state: "object", info: { size: bytes.length } });
});

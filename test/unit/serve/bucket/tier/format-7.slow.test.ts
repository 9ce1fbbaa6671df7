// A data folder of the version before has its pending images in rows of their own. They are taken over at the start,
// and config/downgrade/catalogue-7.sql is the way back.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { toKey } from "../../../../../src/core/object.ts";
import { openSqlite } from "../../../../../src/core/sqlite.ts";
import { openTestS3 } from "../../../../helpers/s3-store.ts";
import { startScriptedS3 } from "../../../../helpers/scripted-s3.ts";
import { openTiered } from "../../../../helpers/tiered-store.ts";
import { infoOf, randomBytes, readAll, wholeBody } from "../../../../helpers/whole-body.ts";

const ID = "10001234/photos";
const COUNT = 1_000;
const ABSENT = { when: "absent" } as const;
const downgrade = fileURLToPath(new URL("../../../../../config/downgrade/catalogue-7.sql", import.meta.url));

test("1,000 pending images go back to format 7, are taken over at the next start, and reach S3", async () => {
  const dir = await mkdtemp(join(tmpdir(), "huiyuan-format-7-"));
  onTestFinished(() => rm(dir, { recursive: true }));
  const s3 = await startScriptedS3();
  onTestFinished(() => s3.close());
  const data = join(dir, "data");
  const open = async () => openTiered(data, await openTestS3(s3, { bucket: "b" }));
  const bodies = new Map(Array.from({ length: COUNT }, (_, at) => [`k${at}.jpg?v=${at % 2}`, randomBytes(500 + at)]));

  let lab = await open();
  const settled = wholeBody(randomBytes(300));
  await lab.store.bucket(ID).put(infoOf("settled.jpg", settled), settled, ABSENT);
  await lab.store.uploads.idle();
  await lab.store.bucket(ID).purge(toKey("k7.jpg?v=1"), { hard: true });
  s3.failure = (method) => (method === "PUT" ? { status: 503, code: "SlowDown" } : undefined);
  for (const [key, bytes] of bodies) {
    const body = wholeBody(bytes);
    // Requested long after the purge.
    expect(await lab.store.bucket(ID).put(infoOf(key, body, "mirror", 10_000), body, ABSENT)).toBe("stored");
  }
  await lab.store.close();

  const catalogue = openSqlite(join(data, "catalogue.db"));
  catalogue.exec(await readFile(downgrade, "utf8"));
  const rows = catalogue
    .prepare<[], object>("SELECT name, objects, query_keys FROM buckets WHERE objects > 0 ORDER BY name")
    .all();
  const named = { name: expect.stringMatching(/^edge\/.+\/10001234\/photos$/) };
  expect(rows).toEqual([
    { ...named, objects: 1, query_keys: 0 },
    { name: expect.stringMatching(/^queue\/.+\/10001234\/photos$/), objects: COUNT, query_keys: COUNT },
  ]);
  expect(catalogue.prepare<[], object>("PRAGMA user_version").get()).toEqual({ user_version: 7 });
  // A kill may have left a copy of another version under the key of a pending image.
  catalogue.exec(
    `INSERT INTO entries (bucket, key, state, epoch, blob)
       SELECT bucket, 'k9.jpg?v=1', 'object', 0, blob FROM entries WHERE key = 'settled.jpg';
     UPDATE blobs SET refs = refs + 1 WHERE id = (SELECT blob FROM entries WHERE key = 'settled.jpg');`,
  );
  catalogue.close();

  lab = await open();
  const bucket = lab.store.bucket(ID);
  const seventh = await bucket.lookup(toKey("k7.jpg?v=1"));
  expect(seventh).toMatchObject({ state: "object", certainty: "unknown", epoch: 1 });
  s3.failure = () => undefined;
  await lab.store.uploads.idle();
  for (const [key, bytes] of bodies) {
    expect(s3.objects.get(`${ID}/${key}`)?.bytes.equals(bytes)).toBe(true);
    const entry = await bucket.lookup(toKey(key));
    if (entry.state !== "object") throw new Error(`"${key}" is ${entry.state}`);
    expect(entry).not.toHaveProperty("certainty");
    expect((await readAll(await bucket.open(entry.info), bytes.length)).equals(bytes)).toBe(true);
  }
  expect(await lab.near.bucket(String(lab.near.listBuckets()[0])).usage()).toMatchObject({ objects: COUNT + 1 });
  expect(lab.near.listBuckets()).toEqual([expect.stringMatching(/^edge\//)]);
  await lab.store.close();
  const after = openSqlite(join(data, "catalogue.db"));
  const miscounted = "SELECT * FROM blobs WHERE refs <> (SELECT count(*) FROM entries WHERE blob = blobs.id)";
  expect(after.prepare<[], object>(miscounted).all()).toEqual([]);
  after.close();
}, 120_000);

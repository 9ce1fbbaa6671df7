// The files that a crash leaves in the spool folder, and how the next start handles them.
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { HuiyuanError } from "../../../../../src/core/errors.ts";
import { SILENT_LOG } from "../../../../../src/core/log.ts";
import { type ObjectInfo, toKey } from "../../../../../src/core/object.ts";
import type { Stored } from "../../../../../src/serve/mirror/stored/stored.ts";
import { type Version, versionOf } from "../../../../../src/serve/mirror/stored/versions.ts";
import { adoptSpoolFiles } from "../../../../../src/serve/mirror/storing/adopt.ts";
import { writeRecoveryFile } from "../../../../../src/serve/mirror/storing/recovery-file.ts";
import { createWriteBack } from "../../../../../src/serve/mirror/storing/write-back.ts";
import { BUCKET_ID, countingMeter, storedLab } from "../../../../helpers/mirror-lab.ts";
import { testPool } from "../../../../helpers/spools.ts";
import { infoOf, randomBytes, wholeBody, wholeBodyInFile } from "../../../../helpers/whole-body.ts";

const KEY = toKey("a.jpg");
const AN_HOUR = 3_600_000;
let dir: string;
let stored: Stored;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "adopt-"));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  ({ stored } = storedLab());
});

/** A finished spool file with its note, as a kill -9 leaves them; returns the file's path. */
async function leave(
  name: string,
  bytes: Buffer,
  more: { epoch?: number; replaces?: Version; at?: number } = {},
): Promise<string> {
  const path = join(dir, `${name}.part`);
  writeFileSync(path, bytes);
  const body = wholeBodyInFile(bytes, path);
  const { epoch = 0, replaces, at } = more;
  const task = {
    stored,
    info: at === undefined ? infoOf(KEY, body) : saidAt(infoOf(KEY, body), at),
    body,
    spool: testPool().open(),
    epoch,
    replaces,
  };
  await writeRecoveryFile(task, SILENT_LOG);
  return path;
}

/** The origin sent it at this moment. */
function saidAt(info: ObjectInfo, at: number): ObjectInfo {
  return { ...info, provenance: { ...info.provenance, via: "mirror", validated: { at, life: {} } } };
}

const knowing = (known: Stored | undefined) => (bucketId: string) => (bucketId === BUCKET_ID ? known : undefined);

/** A start: hands the files over to a new write-back. */
async function adopt(retryMs: readonly number[] = [1, 1], storedOf = knowing(stored)) {
  const meter = countingMeter();
  const writeBack = createWriteBack({ now: () => 1_000, log: SILENT_LOG, meter, retryMs });
  return { ...(await adoptSpoolFiles({ dir, storedOf, writeBack })), writeBack, meter };
}

/** A start; resolves once the folder is handled. `adopted`: images that were stored. */
async function start(storedOf = knowing(stored)): Promise<{ removed: number; adopted: number; left: string[] }> {
  const { removed, done, meter } = await adopt([1, 1], storedOf);
  await done;
  return { removed, adopted: meter.events.length, left: readdirSync(dir) };
}

const refuse = () => Promise.reject(new HuiyuanError("store_full", "the test says so"));
const fullStored = () => storedLab({ over: () => ({ put: refuse }) }).stored;

test("a finished file with its note is stored, under its own description", async () => {
  const bytes = randomBytes(200_000);
  await leave("one", bytes);
  expect(await start()).toEqual({ removed: 0, adopted: 1, left: [] });
  const found = await stored.find(KEY);
  if (found.state !== "large") throw new Error(found.state);
  expect(found.info).toEqual(infoOf(KEY, wholeBody(bytes)));
  expect((await found.reader.read(0, bytes.byteLength - 1)).equals(bytes)).toBe(true);
});

test("a new version replaces the one that it was fetched for, whatever the clock, and none that was confirmed later", async () => {
  const [first, second] = [randomBytes(100), randomBytes(200)];
  const old = saidAt(infoOf(KEY, wholeBody(first)), 9);
  await stored.put(old, wholeBody(first), { when: "absent" });
  await leave("one", second, { replaces: { ...versionOf(old), spokenAt: 3 }, at: 5 });
  expect((await start()).adopted).toBe(0);
  await leave("two", second, { replaces: versionOf(old), at: 5 });
  expect((await start()).adopted).toBe(1);
  expect(await stored.bucket.lookup(KEY)).toMatchObject({ info: { size: 200 } });
});

test("a fetched image never replaces an upload", async () => {
  const body = wholeBody(randomBytes(100));
  await stored.put(infoOf(KEY, body, "upload"), body, { when: "absent" });
  await leave("one", randomBytes(200), { at: 5 });
  expect((await start()).adopted).toBe(0);
  expect(await stored.bucket.lookup(KEY)).toMatchObject({ info: { size: 100 } });
});

test.each([
  ["an empty key", undefined],
  ["an older version", randomBytes(50)],
])("of two versions that were to be written to %s the later one stays", async (_what, oldest) => {
  const [earlier, later] = [randomBytes(100), randomBytes(200)];
  const old = oldest && saidAt(infoOf(KEY, wholeBody(oldest)), 1);
  const replaces = old && { replaces: versionOf(old) };
  for (const names of [
    ["1", "2"],
    ["4", "3"],
  ] as const) {
    await stored.delete(KEY, "the test begins anew");
    await stored.undelete(KEY);
    if (old !== undefined && oldest !== undefined) await stored.put(old, wholeBody(oldest), { when: "absent" });
    const { epoch } = await stored.bucket.lookup(KEY);
    await leave(names[0], earlier, { epoch, at: 2, ...replaces });
    await leave(names[1], later, { epoch, at: 3, ...replaces });
    await start();
    expect(await stored.bucket.lookup(KEY)).toMatchObject({ info: { size: 200 } });
  }
});

test("a purge stores the left image first, and is refused while the store refuses that", async () => {
  const bytes = randomBytes(200);
  await leave("one", bytes);
  const first = await adopt();
  await stored.purge(KEY, { hard: false });
  expect(await stored.bucket.lookup(KEY)).toMatchObject({ state: "object", isStale: true });
  await first.done;

  stored = fullStored();
  await leave("two", bytes);
  const { writeBack } = await adopt([AN_HOUR]);
  await expect(stored.purge(KEY, { hard: false })).rejects.toMatchObject({ code: "store_full" });
  await stored.undelete(KEY);
  await expect(stored.purge(KEY, { hard: false })).rejects.toMatchObject({ code: "store_full" });
  await stored.purge(KEY, { hard: true });
  await stored.purge(KEY, { hard: false });
  await writeBack.drain(1_000);
});

test("a left image that the origin withdraws goes, file and note", async () => {
  stored = fullStored();
  await leave("one", randomBytes(200));
  const { done } = await adopt([AN_HOUR]);
  stored.pendingWrites.withdraw(stored.pendingWrites.begin(KEY), "superseded");
  await done;
  expect([readdirSync(dir), stored.pendingWrites.size]).toEqual([[], 0]);
});

test("a left image gives way to one that is fetched meanwhile", async () => {
  await leave("one", randomBytes(200));
  const { done, writeBack } = await adopt();
  const body = wholeBody(randomBytes(300));
  const fetched = saidAt(infoOf(KEY, body), 2_000);
  await writeBack.store({ stored, info: fetched, epoch: 0, body, spool: { release: () => undefined } });
  await done;
  expect([await stored.bucket.lookup(KEY), readdirSync(dir)]).toMatchObject([{ info: { size: 300 } }, []]);
});

test("look-ups do not wait for left images, which are stored soon", async () => {
  const keys = Array.from({ length: 8 }, (_, index) => toKey(`${index}.jpg`));
  for (const key of keys) {
    const path = join(dir, `${key}.part`);
    const bytes = randomBytes(3_000_000);
    writeFileSync(path, bytes);
    const body = wholeBodyInFile(bytes, path);
    await writeRecoveryFile({ stored, info: infoOf(key, body), body, epoch: 0 }, SILENT_LOG);
  }
  const { adopted, done } = await adopt();
  const last = keys.at(-1) ?? KEY;
  expect([adopted, stored.pendingWrites.size, (await stored.find(last)).state]).toEqual([8, 8, "absent"]);
  await done;
  const found = await Promise.all(keys.map((key) => stored.lookup(key)));
  expect(found.map(({ state }) => state)).toEqual(keys.map(() => "object"));
  expect([readdirSync(dir), stored.pendingWrites.size]).toEqual([[], 0]);
});

test("an image that cannot be stored until the stop does not prevent a fetch, and stays for the next start", async () => {
  stored = fullStored();
  await leave("one", randomBytes(1_000));
  const { done, writeBack } = await adopt([AN_HOUR]);
  expect((await stored.find(KEY)).state).toBe("absent");
  await writeBack.drain(1_000);
  await done;
  expect(readdirSync(dir)).toEqual(["one.part", "one.part.json"]);
});

test("an unfinished file and a note without a file are removed; other files stay", async () => {
  for (const name of ["unfinished.part", "alone.part.json", "other.txt"]) writeFileSync(join(dir, name), "x");
  expect(await start()).toEqual({ removed: 2, adopted: 0, left: ["other.txt"] });
});

test.each<[string, (path: string) => void]>([
  ["a note that was torn", (path) => writeFileSync(`${path}.json`, '{"bucketId":"10001234/photos","ep')],
  ["an empty note", (path) => writeFileSync(`${path}.json`, "")],
  ["a note that is no object", (path) => writeFileSync(`${path}.json`, "null")],
  ["a note without a description", (path) => writeFileSync(`${path}.json`, `{"bucketId":"${BUCKET_ID}","epoch":0}`)],
  ["a note that is far too long", (path) => writeFileSync(`${path}.json`, " ".repeat(70_000))],
  ["a file that has other bytes", (path) => writeFileSync(path, randomBytes(1_000))],
  ["a file that lost its end", (path) => writeFileSync(path, randomBytes(999))],
])("%s: not stored, and both are removed", async (_name, damage) => {
  damage(await leave("one", randomBytes(1_000)));
  expect(await start()).toMatchObject({ adopted: 0, left: [] });
  expect((await stored.find(KEY)).state).toBe("absent");
});

test("a bucket that the settings no longer name gets no image", async () => {
  await leave("one", randomBytes(1_000));
  expect(await start(knowing(undefined))).toEqual({ removed: 2, adopted: 0, left: [] });
  expect((await stored.find(KEY)).state).toBe("absent");
});

test.each<[string, () => Promise<unknown>, string]>([
  ["deleted", () => stored.delete(KEY, "test"), "tombstone"],
  ["purged", () => stored.purge(KEY, { hard: true }), "absent"],
])("a key that was %s after the fetch began gets no image", async (_name, change, state) => {
  await leave("one", randomBytes(1_000));
  await change();
  expect(await start()).toEqual({ removed: 0, adopted: 0, left: [] });
  expect((await stored.find(KEY)).state).toBe(state);
});

test("a file that cannot be stored now is retried, and given up after the last retry", async () => {
  let failures = 2;
  ({ stored } = storedLab({
    over: (driver) => ({ put: (...put) => (failures-- > 0 ? refuse() : driver.put(...put)) }),
  }));
  await leave("one", randomBytes(1_000));
  expect(await start()).toEqual({ removed: 0, adopted: 1, left: [] });

  stored = fullStored();
  await leave("two", randomBytes(1_000));
  const { done, meter } = await adopt();
  await done;
  expect([meter.events, readdirSync(dir)]).toEqual([["not stored store_full"], []]);
});

test("writeRecoveryFile() writes none for a body in memory, and returns undefined if the folder accepts none", async () => {
  const body = wholeBody(randomBytes(100));
  const task = { stored, info: infoOf(KEY, body), spool: testPool().open(), epoch: 0 };
  expect(await writeRecoveryFile({ ...task, body }, SILENT_LOG)).toBeUndefined();
  const gone = wholeBodyInFile(randomBytes(100), join(dir, "no-such-folder", "one.part"));
  expect(await writeRecoveryFile({ ...task, body: gone }, SILENT_LOG)).toBeUndefined();
});

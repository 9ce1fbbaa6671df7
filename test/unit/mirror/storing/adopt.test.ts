// The files that a crash leaves in the spool folder, and how the next start handles them.
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { HuiyuanError } from "../../../../src/core/errors.ts";
import { SILENT_LOG } from "../../../../src/core/log.ts";
import { type ObjectInfo, toKey } from "../../../../src/core/object.ts";
import type { Stored } from "../../../../src/mirror/stored/stored.ts";
import { adoptSpoolFiles } from "../../../../src/mirror/storing/adopt.ts";
import { leaveNote } from "../../../../src/mirror/storing/note.ts";
import { type Version, versionOf } from "../../../../src/mirror/storing/versions.ts";
import { BUCKET_ID, storedLab } from "../../../helpers/mirror-lab.ts";
import { testPool } from "../../../helpers/spools.ts";
import { infoOf, randomBytes, wholeBody, wholeBodyInFile } from "../../../helpers/whole-body.ts";

const KEY = toKey("a.jpg");
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
  await leaveNote(task, SILENT_LOG);
  return path;
}

/** The origin sent it at this moment. */
function saidAt(info: ObjectInfo, at: number): ObjectInfo {
  return { ...info, provenance: { ...info.provenance, via: "mirror", validated: { at, life: {} } } };
}

const knowing = (known: Stored | undefined) => (bucketId: string) => (bucketId === BUCKET_ID ? known : undefined);

/** A start; resolves once the folder is handled. */
async function start(storedOf = knowing(stored)): Promise<{ removed: number; adopted: number; left: string[] }> {
  const { removed, adopting } = await adoptSpoolFiles({ dir, storedOf, log: SILENT_LOG });
  return { removed, adopted: await adopting, left: readdirSync(dir) };
}

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
  const first = await adoptSpoolFiles({ dir, storedOf: knowing(stored), log: SILENT_LOG });
  await stored.purge(KEY, { hard: false });
  expect(await stored.bucket.lookup(KEY)).toMatchObject({ state: "object", isStale: true });
  await first.adopting;

  const full = storedLab({
    over: () => ({ put: () => Promise.reject(new HuiyuanError("store_full", "the test says so")) }),
  }).stored;
  await leave("two", bytes);
  await (await adoptSpoolFiles({ dir, storedOf: knowing(full), log: SILENT_LOG })).adopting;
  await expect(full.purge(KEY, { hard: false })).rejects.toMatchObject({ code: "store_full" });
  await full.undelete(KEY);
  await expect(full.purge(KEY, { hard: false })).rejects.toMatchObject({ code: "store_full" });
  await full.purge(KEY, { hard: true });
  await full.purge(KEY, { hard: false });
});

test.each([
  ["is taken back goes, file and note", 5, 5, []],
  ["was asked for later stays", 4, 5, ["one.part", "one.part.json"]],
])("an image that is left for the next start and %s", async (_what, requestedAt, at, left) => {
  const full = storedLab({
    over: () => ({ put: () => Promise.reject(new HuiyuanError("store_full", "the test says so")) }),
  }).stored;
  await leave("one", randomBytes(200), { at });
  await (await adoptSpoolFiles({ dir, storedOf: knowing(full), log: SILENT_LOG })).adopting;
  await full.recovered.invalidate(KEY, { requestedAt, fate: "superseded" });
  expect(readdirSync(dir)).toEqual(left);
  expect(full.recovered.size).toBe(left.length / 2);
});

test("a request for an image that is not adopted yet gets it without a fetch", async () => {
  const keys = Array.from({ length: 8 }, (_, index) => toKey(`${index}.jpg`));
  for (const key of keys) {
    const path = join(dir, `${key}.part`);
    const bytes = randomBytes(3_000_000);
    writeFileSync(path, bytes);
    const body = wholeBodyInFile(bytes, path);
    await leaveNote({ stored, info: infoOf(key, body), body, epoch: 0 }, SILENT_LOG);
  }
  const { adopting } = await adoptSpoolFiles({ dir, storedOf: knowing(stored), log: SILENT_LOG });
  const looked = await Promise.all(keys.map((key) => stored.lookup(key)));
  const found = await Promise.all(keys.map((key) => stored.find(key)));
  expect([...looked, ...found].map(({ state }) => state)).toEqual([
    ...keys.map(() => "object"),
    ...keys.map(() => "large"),
  ]);
  expect([await adopting, readdirSync(dir)]).toEqual([8, []]);
});

test("an image that cannot be adopted now does not prevent a fetch", async () => {
  const full = () => Promise.reject(new HuiyuanError("store_full", "no room"));
  ({ stored } = storedLab({ over: () => ({ put: full }) }));
  await leave("one", randomBytes(1_000));
  const { adopting } = await adoptSpoolFiles({ dir, storedOf: knowing(stored), log: SILENT_LOG });
  expect((await stored.find(KEY)).state).toBe("absent");
  expect([await adopting, readdirSync(dir).length]).toEqual([0, 2]);
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
  expect(await start()).toEqual({ removed: 0, adopted: 0, left: [] });
  expect((await stored.find(KEY)).state).toBe("absent");
});

test("a bucket that the settings no longer name gets no image", async () => {
  await leave("one", randomBytes(1_000));
  expect(await start(knowing(undefined))).toEqual({ removed: 0, adopted: 0, left: [] });
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

test("files that the store refuses are left up to maxLeftBytes, and the others are removed", async () => {
  const full = () => Promise.reject(new HuiyuanError("store_full", "no room"));
  ({ stored } = storedLab({ over: () => ({ put: full }) }));
  for (const name of ["one", "two", "three"]) await leave(name, randomBytes(1_000));
  const maxLeftBytes = () => 2_000;
  const { adopting } = await adoptSpoolFiles({ dir, storedOf: knowing(stored), log: SILENT_LOG, maxLeftBytes });
  // Two files, each with its note.
  expect([await adopting, readdirSync(dir).length]).toEqual([0, 4]);
});

test("a file that cannot be stored now is left for the next start, and does not stop the others", async () => {
  let failures = 1;
  ({ stored } = storedLab({
    over: (driver) => ({
      put: (...put) =>
        failures-- > 0
          ? Promise.reject(new HuiyuanError("store_failed", "Cannot store: the test says so"))
          : driver.put(...put),
    }),
  }));
  await leave("one", randomBytes(1_000));
  await leave("two", randomBytes(1_000));
  expect(await start()).toEqual({ removed: 0, adopted: 1, left: ["one.part", "one.part.json"] });
  // The second file of the same key finds an object there.
  expect(await start()).toEqual({ removed: 0, adopted: 0, left: [] });
});

test("leaveNote() writes none for a body in memory, and returns undefined if the folder accepts none", async () => {
  const body = wholeBody(randomBytes(100));
  const task = { stored, info: infoOf(KEY, body), spool: testPool().open(), epoch: 0 };
  expect(await leaveNote({ ...task, body }, SILENT_LOG)).toBeUndefined();
  const gone = wholeBodyInFile(randomBytes(100), join(dir, "no-such-folder", "one.part"));
  expect(await leaveNote({ ...task, body: gone }, SILENT_LOG)).toBeUndefined();
});

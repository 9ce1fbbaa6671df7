import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, existsSync, statSync } from "node:fs";
import {
  cp,
  mkdir,
  mkdtemp,
  open as openFile,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { SILENT_LOG } from "../../../../src/core/log.ts";
import { toKey } from "../../../../src/core/object.ts";
import { openSqlite } from "../../../../src/core/sqlite.ts";
import { type BackupReport, makeBackup } from "../../../../src/operate/backups/backup.ts";
import { generationNames, MANIFEST, SETTINGS } from "../../../../src/operate/backups/generations.ts";
import { readLastBackups } from "../../../../src/operate/backups/last-backups.ts";
import { restoreBackup } from "../../../../src/operate/backups/restore.ts";
import { blobPath } from "../../../../src/serve/bucket/fs/blob-places.ts";
import { createFsStore, type FsStore } from "../../../../src/serve/bucket/fs/fs-store.ts";
import { BACKUP_LOCK, SWEEP_LOCK, tryLock, UNFINISHED_RESTORE } from "../../../../src/serve/bucket/fs/lock.ts";
import { openOutbox, UPLOADED } from "../../../helpers/uploaded.ts";
import { infoOf, randomBytes, readAll, wholeBody } from "../../../helpers/whole-body.ts";

let parent: string;
let data: string;
let dir: string;
let settingsFile: string;
let open: FsStore | undefined;
const signal = new AbortController().signal;
const SMALL = 20_000;
/** Above the largest image in a pack. */
const LARGE = 300_000;
/** Four small images fill a pack, with the unused ends of their pages. */
const PACK_BYTES = 80_000;

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), "huiyuan-backup-"));
  [data, dir, settingsFile] = [join(parent, "data"), join(parent, "backups"), join(parent, "own.yaml")];
  await writeFile(settingsFile, "server: {}\n");
});

afterEach(async () => {
  await open?.close();
  open = undefined;
  await rm(parent, { recursive: true });
});

/** Opens the store of a folder and closes the one that was open. */
async function openStore(folder = data): Promise<FsStore> {
  await open?.close();
  open = undefined;
  const options = { now: Date.now, log: SILENT_LOG, minFreeBytes: 0, graceMs: 0, sweepEveryMs: 0 };
  open = await createFsStore({ ...options, dir: folder, packBytes: PACK_BYTES });
  return open;
}

type Contents = Map<string, Buffer>;

async function put(store: FsStore, contents: Contents, key: string, size: number): Promise<void> {
  const body = wholeBody(randomBytes(size));
  await store.bucket("1/b").put(infoOf(key, body, "upload"), body, { when: "absent" });
  contents.set(key, (body.content as { readonly buffer: Buffer }).buffer);
}

async function putMany(store: FsStore, contents: Contents, name: string): Promise<void> {
  for (let n = 0; n < 9; n += 1) await put(store, contents, `${name}-small-${n}`, SMALL + n);
  for (let n = 0; n < 3; n += 1) await put(store, contents, `${name}-large-${n}`, LARGE + n);
}

async function remove(store: FsStore, contents: Contents, key: string): Promise<void> {
  await store.bucket("1/b").delete(toKey(key), { deletedAt: 1, reason: "test" });
  contents.delete(key);
}

const backUp = (more: Partial<Parameters<typeof makeBackup>[0]> = {}): Promise<BackupReport> =>
  makeBackup({ data, dir, settingsFile, keep: 7, copies: false, signal, onProgress: () => () => {}, ...more });

const restore = (to: string, generation?: string) =>
  restoreBackup({ dir, generation, data: to, signal, onProgress: () => () => {} });

/** Restores a generation to a new folder and compares all objects, byte for byte. */
async function expectRestored(contents: Contents, generation?: string): Promise<void> {
  const to = join(parent, `restored-${generation ?? "newest"}`);
  await restore(to, generation);
  await expectContents(await openStore(to), contents);
  await open?.close();
  open = undefined;
  await rm(to, { recursive: true });
}

async function expectContents(store: FsStore, contents: Contents): Promise<void> {
  const bucket = store.bucket("1/b");
  const page = await bucket.list({ prefix: "", after: undefined, limit: 1_000 });
  expect(page.objects.map(({ key }) => key)).toEqual([...contents.keys()].sort());
  for (const info of page.objects) {
    const bytes = await readAll(await bucket.open(info), info.size);
    expect([info.key, bytes.equals(contents.get(info.key)!)]).toEqual([info.key, true]);
  }
}

const inode = (path: string) => statSync(path).ino;
const generation = async (index: number) => join(dir, (await generationNames(dir)).at(index)!);

/** The path of each file in packs/ and blobs/, below the folder. */
async function filesIn(folder: string): Promise<readonly string[]> {
  const names = await Promise.all(
    ["packs", "blobs"].map(async (room) =>
      (await readdir(join(folder, room), { recursive: true })).map((name) => join(room, name)),
    ),
  );
  return names.flat().filter((name) => statSync(join(folder, name)).isFile());
}

test("a backup of an open store is restored byte for byte, with notices, slices, settings and server-id", async () => {
  const contents: Contents = new Map();
  const store = await openStore();
  await putMany(store, contents, "a");
  await writeFile(join(data, "server-id"), "0123456789ab");
  await mkdir(join(data, "slices"));
  await writeFile(join(data, "slices", "x.part"), "acknowledged");
  const { outbox, close } = openOutbox(data);
  await outbox.enqueue(UPLOADED, { since: 1, dueAt: 2 });

  const report = await backUp();
  await close();
  expect(report).toMatchObject({ objects: 12, damaged: 0, generations: 1 });
  expect([statSync(dir).mode & 0o777, statSync(report.path).mode & 0o777]).toEqual([0o700, 0o700]);
  expect(await readFile(join(report.path, SETTINGS), "utf8")).toBe("server: {}\n");
  const to = join(parent, "restored");
  await restore(to);
  expect((await readdir(to)).sort()).toEqual(
    ["blobs", "catalogue.db", "lock", "outbox.db", "packs", "server-id", "slices"].sort(),
  );
  expect(await readFile(join(to, "slices", "x.part"), "utf8")).toBe("acknowledged");
  const restored = openOutbox(to);
  expect(await restored.outbox.due("10001234/photos", 3, 9)).toMatchObject([{ fileid: UPLOADED.fileid }]);
  await restored.close();
  await expectContents(await openStore(to), contents);
});

test("a backup without a server is the same, after a kill too", async () => {
  const contents: Contents = new Map();
  await putMany(await openStore(), contents, "a");
  // A killed server leaves the rows in the log only.
  const killed = join(parent, "killed");
  await cp(data, killed, { recursive: true });
  await rm(join(killed, "catalogue.db-shm"));
  await backUp({ data: killed });
  await expectRestored(contents);
});

test("each generation has its own state, and a later one copies new bytes only", async () => {
  const [first, second]: [Contents, Contents] = [new Map(), new Map()];
  await putMany(await openStore(), first, "a");
  const before = await backUp({ copies: true });
  for (const [key, bytes] of first) second.set(key, bytes);
  await put(open!, second, "b", SMALL);
  await remove(open!, second, "a-small-0");
  await remove(open!, second, "a-large-0");
  const after = await backUp({ copies: true });
  // The beginning of the newest pack is not copied again.
  expect(after.writtenBytes).toBeLessThan(before.writtenBytes / 10);
  expect(after.writtenBytes).toBeGreaterThanOrEqual(SMALL);
  const names = await generationNames(dir);
  await expectRestored(first, names[0]!);
  await expectRestored(second, names[1]!);
});

test("images are links, but the newest pack, which grows, and everything with --copy are not", async () => {
  await putMany(await openStore(), new Map(), "a");
  await backUp();
  const shared = async (index: number) => {
    const path = await generation(index);
    const files = await filesIn(path);
    expect(files.length).toBeGreaterThan(5);
    return files.filter((name) => inode(join(path, name)) === inode(join(data, name)));
  };
  const files = await filesIn(data);
  const newest = `packs/${files.filter((name) => name.startsWith("packs")).length}`;
  expect((await shared(0)).sort()).toEqual(files.filter((name) => name !== newest).sort());
  await backUp({ copies: true });
  expect(await shared(1)).toEqual([]);
  // A pack that was the newest is closed by now.
  await putMany(open!, new Map(), "b");
  await backUp();
  expect(await shared(2)).toContain(newest);
});

test("bytes that a killed backup has left behind an older generation's pack do no harm", async () => {
  const [first, second]: [Contents, Contents] = [new Map(), new Map()];
  const store = await openStore();
  await put(store, first, "a", SMALL);
  await backUp();
  appendFileSync(join(await generation(0), "packs/1"), randomBytes(50_000));
  await cp(await generation(0), join(dir, "huiyuan-unfinished"), { recursive: true });
  await rm(join(dir, "huiyuan-unfinished", MANIFEST));
  await put(store, second.set("a", first.get("a")!), "b", SMALL);
  expect((await backUp()).damaged).toBe(0);
  expect((await readdir(dir)).sort()).toEqual(await generationNames(dir));
  const [older, newer] = await generationNames(dir);
  await expectRestored(first, older);
  await expectRestored(second, newer);
});

test("after the restore of an older generation, the next backup does not continue the newer one's packs", async () => {
  const contents: Contents = new Map();
  await put(await openStore(), contents, "a", SMALL);
  await backUp();
  // As after a move of the backups by a tool that keeps no hard links.
  const pack = join(await generation(0), "packs/1");
  await cp(pack, `${pack}.copy`);
  const lost: Contents = new Map(contents);
  await put(open!, lost, "lost", SMALL);
  await backUp();
  await rename(`${pack}.copy`, pack);
  const to = join(parent, "again");
  const [older, newer] = await generationNames(dir);
  await restore(to, older);
  const store = await openStore(to);
  await put(store, contents, "b", SMALL + 5_000);
  await put(store, contents, "c", SMALL);
  expect((await backUp({ data: to })).damaged).toBe(0);
  await expectRestored(contents);
  await expectRestored(lost, newer);
});

test("a later backup leaves the bytes of an earlier one alone, after the last image of a pack is gone", async () => {
  const [first, later]: [Contents, Contents] = [new Map(), new Map()];
  const store = await openStore();
  await put(store, first, "a", SMALL);
  await put(store, first, "x", SMALL);
  await backUp();
  const bytes = first.get("x")!;
  await remove(store, later.set("a", first.get("a")!), "x");
  await new Promise((resolve) => setTimeout(resolve, 5)); // The grace time of 0 ms is over.
  expect((await store.sweep()).blobs).toBe(1);
  const pack = await readFile(join(await generation(0), "packs/1"));
  const file = await openFile(join(data, "packs/1"), "r+");
  await file.write(randomBytes(SMALL), 0, SMALL, pack.indexOf(bytes));
  await file.close();
  await backUp();
  await put(store, later, "c", SMALL);
  expect((await backUp()).damaged).toBe(0);
  const names = await generationNames(dir);
  expect(inode(join(dir, names[0]!, "packs/1"))).toBe(inode(join(dir, names[2]!, "packs/1")));
  await expectRestored(first, names[0]);
  await expectRestored(later, names[2]);
});

test("damaged images are named, in every backup until they are gone, and all others are restored", async () => {
  const contents: Contents = new Map();
  const store = await openStore();
  await putMany(store, contents, "a");
  const { info } = (await store.bucket("1/b").lookup(toKey("a-large-1"))) as { info: { hashes: { sha256: string } } };
  await truncate(blobPath(data, info.hashes.sha256), 100);
  const pack = await readFile(join(data, "packs/1"));
  const at = pack.indexOf(contents.get("a-small-1")!);
  pack[at + 7]! ^= 1;
  await writeFile(join(data, "packs/1"), pack);
  for (const copies of [false, true, true]) {
    const report = await backUp({ copies });
    expect(report.damaged).toBe(2);
    expect([...report.damagedObjects].sort()).toEqual(["1/b a-large-1", "1/b a-small-1"]);
  }
  expect(await readLastBackups(data)).toMatchObject({ damaged: expect.any(Number) });
  await remove(store, contents, "a-large-1");
  await remove(store, contents, "a-small-1");
  await store.sweep();
  expect((await backUp()).damaged).toBe(0);
  await expectRestored(contents);
});

test("the sweep removes nothing while a backup links files", async () => {
  const contents: Contents = new Map();
  const store = await openStore();
  await putMany(store, contents, "a");
  const files = await filesIn(data);
  for (const key of [...contents.keys()]) await remove(store, contents, key);
  await new Promise((resolve) => setTimeout(resolve, 5)); // The grace time of 0 ms is over.
  const unlock = tryLock(join(data, SWEEP_LOCK))!;
  expect(await store.sweep()).toEqual({ blobs: 0, bytes: 0 });
  expect(await filesIn(data)).toEqual(files);
  unlock();
  expect((await store.sweep()).blobs).toBe(12);
  expect((await filesIn(data)).length).toBeLessThan(3);
});

test("a sweep that would move and remove the listed files meanwhile waits", async () => {
  const contents: Contents = new Map();
  const store = await openStore();
  await putMany(store, contents, "a");
  await putMany(store, contents, "b");
  for (const n of [0, 1, 2, 4, 5, 6]) await remove(store, contents, `a-small-${n}`);
  for (const n of [0, 1, 2]) await remove(store, contents, `b-large-${n}`);
  let sweeping: Promise<unknown> | undefined;
  const report = await backUp({
    onProgress: () => () => {
      sweeping ??= store.sweep();
    },
  });
  await sweeping;
  expect(report.damaged).toBe(0);
  expect((await store.sweep()).blobs).toBeGreaterThan(0);
  await expectRestored(contents);
});

test("only the newest generations stay, and the times of the last backups are noted", async () => {
  await put(await openStore(), new Map(), "a", SMALL);
  const began = Date.now();
  for (let n = 0; n < 3; n += 1) await backUp({ keep: 2 });
  expect(await readdir(dir)).toEqual(await generationNames(dir));
  expect(await generationNames(dir)).toHaveLength(2);
  const { started = 0, succeeded = 0, failed } = await readLastBackups(data);
  expect([started >= began, succeeded >= started, failed]).toEqual([true, true, undefined]);
  await expect(backUp({ settingsFile: parent })).rejects.toThrow("EISDIR");
  expect((await readLastBackups(data)).failed).toBeGreaterThanOrEqual(succeeded);
});

test("an aborted backup ends and leaves the earlier ones", async () => {
  await putMany(await openStore(), new Map(), "a");
  await backUp();
  const names = await generationNames(dir);
  const stopping = new AbortController();
  const aborted = backUp({ signal: stopping.signal, onProgress: () => () => stopping.abort() });
  await expect(aborted).rejects.toMatchObject({ name: "AbortError" });
  expect(await generationNames(dir)).toEqual(names);
  await backUp();
  expect(await generationNames(dir)).toHaveLength(2);
});

/** Its first row has a name that leads elsewhere, so that a program without the check ends, too. */
const ENDLESS = `ALTER TABLE blobs RENAME TO old; CREATE VIEW blobs AS
  WITH RECURSIVE ever(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM ever)
  SELECT old.id, '../x' AS sha256, size, pack, pack_at, damaged_at FROM old, ever`;

describe("makeBackup() refuses", () => {
  test("a folder that holds other things, that overlaps the data folder, or without a catalogue", async () => {
    await put(await openStore(), new Map(), "a", SMALL);
    const other = join(parent, "other");
    await mkdir(other);
    await writeFile(join(other, "mine.txt"), "");
    await expect(backUp({ dir: other })).rejects.toMatchObject({ code: "request_invalid" });
    expect(await readdir(other)).toEqual(["mine.txt"]);
    await expect(backUp({ dir: join(data, "in") })).rejects.toMatchObject({ code: "request_invalid" });
    await expect(backUp({ dir: parent })).rejects.toMatchObject({ code: "request_invalid" });
    await expect(backUp({ data: other })).rejects.toMatchObject({ code: "request_invalid" });
  });

  test("the folder of another server, a second backup at the same time, and a clock that was set back", async () => {
    await put(await openStore(), new Map(), "a", SMALL);
    await writeFile(join(data, "server-id"), "0123456789ab");
    const lock = () => tryLock(join(data, BACKUP_LOCK));
    const locks: unknown[] = [];
    const onProgress = () => {
      locks.push(lock());
      return () => {};
    };
    await backUp({ onProgress });
    expect(new Set(locks)).toEqual(new Set([undefined]));
    const unlock = lock();
    await expect(backUp({ dir: join(parent, "second") })).rejects.toMatchObject({ code: "data_locked" });
    unlock?.();
    await writeFile(join(data, "server-id"), "ba9876543210");
    await expect(backUp()).rejects.toMatchObject({ code: "request_invalid" });
    await mkdir(join(dir, "29991231T000000000Z"));
    await writeFile(join(data, "server-id"), "0123456789ab");
    await expect(backUp()).rejects.toMatchObject({ code: "request_invalid" });
  });
});

describe("restoreBackup() refuses, and changes nothing:", () => {
  /** Returns the message. */
  const refused = async (to: string, code: string): Promise<string> => {
    const names = existsSync(to) ? await readdir(to, { recursive: true }) : undefined;
    const error = await restore(to).catch((reason: unknown) => reason as Error);
    expect(error).toMatchObject({ code });
    expect(existsSync(to) ? await readdir(to, { recursive: true }) : undefined).toEqual(names);
    return (error as Error).message;
  };
  const change = (path: string, sql: string) => {
    const database = openSqlite(join(path, "catalogue.db"));
    database.exec(sql);
    database.close();
  };

  test("what is no backup, and a newer format or catalogue", async () => {
    const to = join(parent, "to");
    await refused(to, "request_invalid");
    await put(await openStore(), new Map(), "a", SMALL);
    await mkdir(dir);
    await refused(to, "request_invalid");
    await rm(dir, { recursive: true });
    await backUp();
    const path = await generation(0);
    const manifest = await readFile(join(path, MANIFEST), "utf8");
    await writeFile(join(path, MANIFEST), JSON.stringify({ ...JSON.parse(manifest), format: 2 }));
    await refused(to, "request_invalid");
    await writeFile(join(path, MANIFEST), "{");
    await refused(to, "request_invalid");
    await writeFile(join(path, MANIFEST), manifest);
    change(path, "PRAGMA user_version = 99");
    await refused(to, "request_invalid");
  });

  test.each([
    [
      "a hash that is a path",
      "UPDATE blobs SET sha256 = '../../../own.yaml' WHERE id = 1",
      'row 1 of its table "blobs"',
    ],
    ["a hash with more behind it", "UPDATE blobs SET sha256 = sha256 || char(0) || '/../x' WHERE id = 2", "row 2"],
    ["a hash of bytes", "UPDATE blobs SET sha256 = CAST(sha256 AS BLOB) WHERE id = 2", "row 2"],
    ["a pack that is a path", "UPDATE blobs SET pack = '../../own.yaml', pack_at = 0 WHERE id = 1", "row 1"],
    ["a pack below zero", "UPDATE blobs SET pack = -1, pack_at = 0 WHERE id = 1", "row 1"],
    ["an offset that is a text", "UPDATE blobs SET pack = 1, pack_at = 'x' WHERE id = 1", "row 1"],
    ["an offset below zero", "UPDATE blobs SET pack = 1, pack_at = -4096 WHERE id = 1", "row 1"],
    ["a size that is a text", "UPDATE blobs SET size = 'big' WHERE id = 1", "row 1"],
    ["a view without an end", ENDLESS, 'it has the view "blobs"'],
  ])("a catalogue with %s", async (_, sql, row) => {
    await put(await openStore(), new Map(), "a", LARGE);
    await put(open!, new Map(), "b", SMALL);
    await backUp();
    const whole = await generation(0);
    await backUp();
    // The strict tables of an honest catalogue would refuse some of these.
    const loose = "CREATE TABLE copy AS SELECT * FROM blobs; DROP TABLE blobs; ALTER TABLE copy RENAME TO blobs";
    change(await generation(1), loose);
    change(await generation(1), sql);
    const message = await refused(join(parent, "to"), "store_failed");
    expect(message).toContain(row);
    expect(message).toContain(`others for --generation: ${whole.slice(-19)}`);
    expect(await readFile(settingsFile, "utf8")).toBe("server: {}\n");
    // The same in the data folder.
    await open?.close();
    open = undefined;
    for (const statement of [loose, sql]) change(data, statement);
    await expect(backUp()).rejects.toThrow(row);
    expect(await generationNames(dir)).toHaveLength(2);
  });

  test.each([
    ["the note", MANIFEST],
    ["the catalogue", "catalogue.db"],
    ["the catalogue's log", "catalogue.db-wal"],
    ["an image", "blobs/ab/cd/x"],
    ["another file", "server-id"],
  ])("a pipe, a link and a socket as %s, without opening them", async (_, name) => {
    await put(await openStore(), new Map(), "a", LARGE);
    await backUp();
    await backUp();
    const path = join(await generation(1), name);
    await mkdir(dirname(path), { recursive: true });
    for (const make of [
      () => void execFileSync("mkfifo", [path]),
      () => symlink(settingsFile, path),
      () => once(createServer().listen(path).unref(), "listening"),
    ]) {
      await rm(path, { force: true });
      await make();
      const message = await refused(join(parent, "to"), "request_invalid");
      expect(message).toContain(`"${path}" is no plain file`);
      expect(message).toContain("others for --generation: ");
      await expect(backUp()).rejects.toThrow(`"${path}" is no plain file`);
    }
  });

  test.each(["operations.db-journal", "catalogue.db-wal", "slices/x.db-SHM"])(
    "%s, which no backup makes and SQLite would follow",
    async (name) => {
      await put(await openStore(), new Map(), "a", SMALL);
      await backUp();
      await backUp();
      const path = join(await generation(1), name);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, "");
      const message = await refused(join(parent, "to"), "request_invalid");
      expect(message).toContain(`"${path}" is no part of one; move it away; others for --generation: `);
      await expect(backUp()).rejects.toThrow(`"${path}" is no part of one`);
    },
  );

  test.each([
    ["packs that are null", { packs: null }],
    ["packs in a list", { packs: [1] }],
    ["a pack that is a path", { packs: { "../1": 4 } }],
    ["half a byte", { packs: { 1: 0.5 } }],
    ["a server that is a number", { server: 1 }],
    ["a format that is a text", { format: "1" }],
    ["a format that is no value", { format: { toString: 1 } }],
  ])("a note with %s", async (_, wrong) => {
    await put(await openStore(), new Map(), "a", SMALL);
    await backUp();
    const path = join(await generation(0), MANIFEST);
    await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, "utf8")), ...wrong }));
    expect(await refused(join(parent, "to"), "request_invalid")).toMatch(
      /Cannot use ".*": it is no backup, because its backup.json is missing or damaged; move it away; there is no other one/,
    );
    await expect(backUp()).rejects.toThrow("backup.json is missing or damaged; move it away");
  });

  test("a damaged catalogue, and names it with the other backups", async () => {
    await put(await openStore(), new Map(), "a", SMALL);
    for (let n = 0; n < 4; n += 1) await backUp();
    const names = await generationNames(dir);
    const newest = names[3] ?? "";
    const catalogue = join(dir, newest, "catalogue.db");
    for (const bytes of ["no database at all", "", (await readFile(catalogue)).subarray(0, 9_000)]) {
      await rm(catalogue);
      await writeFile(catalogue, bytes);
      const message = await refused(join(parent, "to"), "store_failed");
      expect(message).toContain(`"${join(dir, newest)}/catalogue.db"`);
      expect(message).not.toContain(":memory:");
      expect(message).toContain(`others for --generation: ${names.slice(0, 3).join(", ")}`);
    }
  });

  test("a running server and a data folder that is not empty", async () => {
    await put(await openStore(), new Map(), "a", SMALL);
    await backUp();
    await refused(data, "data_locked");
    await open?.close();
    open = undefined;
    await refused(data, "request_invalid");
  });
});

test("no server starts on an interrupted restore, which can be repeated", async () => {
  const contents: Contents = new Map();
  await putMany(await openStore(), contents, "a");
  await backUp();
  const to = join(parent, "to");
  const stopping = new AbortController();
  const aborted = restoreBackup({
    ...{ dir, generation: undefined, data: to, signal: stopping.signal },
    onProgress: () => () => stopping.abort(),
  });
  await expect(aborted).rejects.toMatchObject({ name: "AbortError" });
  expect((await stat(join(to, UNFINISHED_RESTORE))).isFile()).toBe(true);
  await expect(openStore(to)).rejects.toMatchObject({ code: "store_failed" });
  await restore(to);
  await expectContents(await openStore(to), contents);
});

test("a repeated restore removes what the interrupted one has left of another generation", async () => {
  const contents: Contents = new Map();
  await put(await openStore(), contents, "a", SMALL);
  await backUp();
  const to = join(parent, "to");
  await mkdir(join(to, "slices"), { recursive: true });
  for (const name of [UNFINISHED_RESTORE, "slices/old.part", "usage.db-wal"]) await writeFile(join(to, name), "x");
  await restore(to);
  expect([await readdir(join(to, "slices")), existsSync(join(to, "usage.db-wal"))]).toEqual([[], false]);
  await expectContents(await openStore(to), contents);
});

test("a folder of one's own that is named unfinished stays, and so does another server's unfinished backup", async () => {
  await put(await openStore(), new Map(), "a", SMALL);
  await mkdir(join(dir, "unfinished"), { recursive: true });
  await expect(backUp()).rejects.toMatchObject({ code: "request_invalid" });
  await rm(dir, { recursive: true });
  await writeFile(join(data, "server-id"), "0123456789ab");
  await backUp();
  await mkdir(join(dir, "huiyuan-unfinished"));
  await writeFile(join(data, "server-id"), "ba9876543210");
  await expect(backUp()).rejects.toMatchObject({ code: "request_invalid" });
  expect(existsSync(join(dir, "huiyuan-unfinished"))).toBe(true);
  const path = await generation(0);
  const single = restoreBackup({
    dir: path,
    generation: undefined,
    data: join(parent, "to"),
    signal,
    onProgress: () => () => {},
  });
  await expect(single).rejects.toThrow("name the folder above it, with --generation 2");
});

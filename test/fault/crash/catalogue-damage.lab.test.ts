// Damages bytes of the catalogue in many ways. Either the start is refused with instructions, or every key returns its
// own bytes, absent, or an error. No key ever returns another key's bytes.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { HuiyuanError } from "../../../src/core/errors.ts";
import { SILENT_LOG } from "../../../src/core/log.ts";
import { type Key, toKey } from "../../../src/core/object.ts";
import { createFsStore, type FsStore } from "../../../src/serve/bucket/fs/fs-store.ts";
import { infoOf, readAll, wholeBody } from "../../helpers/whole-body.ts";
import { createRandom, type Random } from "./random.ts";
import { visitsEveryPoint } from "./sweep.ts";

const OBJECTS = 60;
const PAGE = 4_096;
/** Two digits each: one changed bit in a key often makes another key of the set. */
const KEYS = Array.from({ length: OBJECTS }, (_, index) => toKey(`photos/${index + 10}.jpg`));
const SEEDS = visitsEveryPoint() ? 1_000 : 8;

let parent: string;
let pristine: string;

beforeAll(async () => {
  parent = mkdtempSync(join(tmpdir(), "huiyuan-catalogue-"));
  pristine = join(parent, "pristine");
  const store = await open(pristine);
  for (const key of KEYS) await store.bucket("1/b").put(infoOf(key, bodyOf(key)), bodyOf(key), { when: "absent" });
  await store.close();
});

afterAll(() => rmSync(parent, { recursive: true }));

function open(dir: string): Promise<FsStore> {
  return createFsStore({ dir, now: Date.now, log: SILENT_LOG, minFreeBytes: 0, sweepEveryMs: 0 });
}

function bodyOf(key: Key) {
  return wholeBody(Buffer.from(`the bytes of ${key}`));
}

/** The result of opening and reading a damaged catalogue. */
interface Outcome {
  readonly isRefused: boolean;
  readonly right: number;
  readonly absent: number;
  readonly errors: number;
}

async function outcomeOf(damage: (file: Buffer) => Buffer): Promise<Outcome> {
  const dir = join(parent, "damaged");
  rmSync(dir, { recursive: true, force: true });
  cpSync(pristine, dir, { recursive: true });
  const catalogue = join(dir, "catalogue.db");
  writeFileSync(catalogue, damage(readFileSync(catalogue)));
  const store = await open(dir).catch(named);
  if (store instanceof HuiyuanError) {
    // If only the version number was damaged, the store believes it.
    if (!store.message.includes("newer huiyuan"))
      expect(store.message).toMatch(/catalogue.*: it is damaged.*restore the data folder from a backup/);
    return { isRefused: true, right: 0, absent: 0, errors: 0 };
  }
  try {
    return await readEverything(store);
  } finally {
    await store.close();
  }
}

async function readEverything(store: FsStore): Promise<Outcome> {
  const bucket = store.bucket("1/b");
  const listed = await bucket.list({ prefix: "", after: undefined, limit: 1_000 }).catch(named);
  const found = listed instanceof HuiyuanError ? [] : listed.objects.map(({ key }) => key);
  let [right, absent, errors] = [0, 0, listed instanceof HuiyuanError ? 1 : 0];
  for (const key of new Set([...KEYS, ...found])) {
    const bytes = await read(store, key).catch(named);
    if (bytes instanceof HuiyuanError) errors += 1;
    else if (bytes === undefined) absent += 1;
    else {
      expect(bytes.toString(), "wrong bytes").toBe(`the bytes of ${key}`);
      right += 1;
    }
  }
  return { isRefused: false, right, absent, errors };
}

async function read(store: FsStore, key: Key): Promise<Buffer | undefined> {
  const bucket = store.bucket("1/b");
  const entry = await bucket.lookup(key);
  if (entry.state !== "object") return undefined;
  const reader = await bucket.open(entry.info);
  return reader === undefined ? undefined : readAll(reader, entry.info.size);
}

/** Returns a HuiyuanError, which is an allowed outcome; rethrows any other error as a bug of the program. */
function named(error: unknown): HuiyuanError {
  if (error instanceof HuiyuanError && ["store_failed", "store_corrupt"].includes(error.code)) return error;
  throw error;
}

/** Damages some bytes here and there, all of one page, or one bit. */
function scribble(file: Buffer, random: Random): Buffer {
  const page = random.below(file.length / PAGE) * PAGE;
  const kind = random.below(3);
  if (kind === 0) {
    const at = random.below(file.length);
    file[at]! ^= 1 << random.below(8);
  } else {
    const count = 1 + random.below(32);
    for (let left = count; left > 0; left -= 1) {
      const at = kind === 1 ? random.below(file.length) : page + random.below(PAGE);
      file[at] = random.below(256);
    }
  }
  return file;
}

/** Replaces `text` at byte `at` (default: its last occurrence) with another text of equal length. */
function replaced(file: Buffer, text: string, other: string, at = file.lastIndexOf(text, undefined, "latin1")): Buffer {
  expect(file.toString("latin1", at, at + text.length)).toBe(text);
  file.write(other, at, "latin1");
  return file;
}

/** `PRAGMA user_version` in the file's head (SQLite file format, 1.3). */
const VERSION_AT = 60;

function older(file: Buffer, version: number): Buffer {
  expect(file.readUInt32BE(VERSION_AT)).toBeGreaterThan(version);
  file.writeUInt32BE(version, VERSION_AT);
  return file;
}

test("an undamaged catalogue returns every object", async () => {
  expect(await outcomeOf((file) => file)).toEqual({ isRefused: false, right: OBJECTS, absent: 0, errors: 0 });
});

test.each([
  ["a text", () => Buffer.from("not a database\n")],
  ["its first half", (file: Buffer) => file.subarray(0, file.length / 2)],
  ["its first page", (file: Buffer) => file.subarray(0, PAGE)],
  ["no bytes, beside blobs", () => Buffer.alloc(0)],
  ["zeros", (file: Buffer) => Buffer.alloc(file.length)],
  ["its pages, one of them zeros", (file: Buffer) => file.fill(0, PAGE, 2 * PAGE)],
  [
    "one whose table has another column",
    (file: Buffer) => replaced(file, "origin_last_modified TEXT", "origin_last_modifier TEXT"),
  ],
  ["one that says it is one version older", (file: Buffer) => older(file, file.readUInt32BE(VERSION_AT) - 1)],
  ["one that says it is of the first version", (file: Buffer) => older(file, 1)],
])("a catalogue that is %s is refused", async (_, damage) => {
  expect(await outcomeOf(damage)).toMatchObject({ isRefused: true });
});

test(
  "a catalogue with wrong bytes anywhere never returns another object's bytes",
  async () => {
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      await outcomeOf((file) => scribble(file, createRandom(seed))).catch((error: unknown) => {
        throw new Error(`seed ${seed}`, { cause: error });
      });
    }
  },
  visitsEveryPoint() ? 1_800_000 : 60_000,
);

test("a key with one changed digit does not return its bytes under the changed key", async () => {
  const outcome = await outcomeOf((file) => {
    return replaced(file, "photos/69.jpg", "photos/79.jpg");
  });
  // The order of keys is broken, so the original key is not found, and listing meets the changed one.
  expect(outcome).toEqual({ isRefused: false, right: OBJECTS - 1, absent: 1, errors: 1 });
});

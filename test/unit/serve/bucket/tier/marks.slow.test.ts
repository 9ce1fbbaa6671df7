// Two servers on one remote store, with a clock each: an image that one of them has fetched before the other purges,
// undeletes or lets a tombstone expire is never stored after it.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { toKey } from "../../../../../src/core/object.ts";
import type { BucketDriver } from "../../../../../src/serve/bucket/contract/driver.ts";
import { createMarks } from "../../../../../src/serve/bucket/tier/marks.ts";
import { createMemoryRemote, type MemoryRemote } from "../../../../helpers/memory-remote.ts";
import { openTiered, type TieredLab } from "../../../../helpers/tiered-store.ts";
import { infoOf, wholeBody } from "../../../../helpers/whole-body.ts";

const ID = "10001234/photos";
const A = toKey("a.jpg");
const OLD = wholeBody(Buffer.from("old"));
const NEW = wholeBody(Buffer.from("new"));
const T = 1_000_000;

let dir: string;
let remote: MemoryRemote;
let now: number;
/** Milliseconds by which the clock of `other` is ahead. */
let ahead: number;
let isCut: boolean;
let labs: TieredLab[];
let here: BucketDriver;
let other: BucketDriver;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "huiyuan-marks-"));
  now = T;
  ahead = 0;
  isCut = false;
  labs = [];
  remote = createMemoryRemote();
  here = (await open("here", remote)).store.bucket(ID);
  other = (await open("other", remote)).store.bucket(ID);
});
afterEach(async () => {
  for (const { store } of labs) await store.close();
  await rm(dir, { recursive: true });
});

async function open(name: string, { store }: MemoryRemote): Promise<TieredLab> {
  const opened = store();
  const lab = await openTiered(join(dir, name), name === "other" ? cuttable(opened) : opened, {
    now: () => (name === "other" ? now + ahead : now),
  });
  labs.push(lab);
  return lab;
}

/** The store as `other` sees it: it does not answer while `isCut`. */
function cuttable(store: ReturnType<MemoryRemote["store"]>) {
  return Object.defineProperty(Object.create(store), "isDown", { get: () => isCut }) as typeof store;
}

const fetched = (at: number, body = OLD) => infoOf("a.jpg", body, "mirror", at);
const putBy = (bucket: BucketDriver, at: number, body = OLD) =>
  bucket.put(fetched(at, body), body, { when: "absent", epoch: 0 });
const idle = () => Promise.all(labs.map(({ store }) => store.uploads.idle()));

/** The image in the remote store. */
async function stored(): Promise<string | undefined> {
  await idle();
  const found = await remote.store().bucket(ID).head(A);
  return found.state === "object" ? remote.objects.get(`${ID}/a.jpg`)?.bytes.toString() : undefined;
}

const CHANGES = {
  "a hard purge of a vacant key": () => here.purge(A, { hard: true }),
  async "a hard purge of a stored image"() {
    expect(await here.put(fetched(now), OLD, { when: "absent" })).toBe("stored");
    await labs[0]?.store.uploads.idle();
    expect(await here.purge(A, { hard: true })).toBe(true);
  },
  async "a delete and an undelete"() {
    await here.delete(A, { deletedAt: now, reason: "" });
    now += 10;
    expect(await here.undelete(A)).toBe(true);
  },
  async "the expiry of a tombstone"() {
    await here.delete(A, { deletedAt: now, reason: "", expiresAt: now + 10 });
    now += 10;
  },
};

test.each(Object.entries(CHANGES))(
  "after %s an earlier fetch of another server is not stored",
  async (_what, change) => {
    await change();
    expect(await putBy(other, T - 1)).toBe("outdated");
    expect(await stored()).toBeUndefined();
    expect(await other.lookup(A)).toMatchObject({ state: "absent" });
  },
);

test.each(Object.entries(CHANGES))("%s drops what waits for its upload on another server", async (_what, change) => {
  isCut = true;
  expect(await putBy(other, T - 1)).toBe("stored");
  expect(await other.lookup(A)).toMatchObject({ state: "object", certainty: "unknown" });
  await change();
  isCut = false;
  // Any change tries the next upload.
  await other.put(infoOf("b.jpg", NEW, "mirror", now), NEW, { when: "absent" });
  expect(await stored()).toBeUndefined();
  expect(await other.lookup(A)).toMatchObject({ state: "absent" });
  expect(labs[1]?.changed).toContain(`${ID} ${A}`);
});

test("what waits for its upload keeps its time over a restart", async () => {
  isCut = true;
  expect(await putBy(other, T - 1)).toBe("stored");
  await labs.pop()?.store.close();
  await here.purge(A, { hard: true });
  isCut = false;
  other = (await open("other", remote)).store.bucket(ID);
  expect(await stored()).toBeUndefined();
  expect(await other.lookup(A)).toMatchObject({ state: "absent" });
});

test.each(Object.entries(CHANGES))(
  "after %s both servers store what they fetch after a look-up",
  async (_what, change) => {
    for (const server of [other, here]) {
      await change();
      now += 1;
      const { epoch } = await server.lookup(A);
      expect(await server.put(fetched(now, NEW), NEW, { when: "absent", epoch })).toBe("stored");
      expect(await stored()).toBe("new");
      await here.purge(A, { hard: true });
    }
  },
);

test.each([4_999, -4_999])("a clock that is %i ms ahead lets no earlier fetch pass", async (difference) => {
  ahead = difference;
  await here.purge(A, { hard: true });
  expect(await putBy(other, T - 1 + difference)).toBe("outdated");
  expect(await stored()).toBeUndefined();
});

test("a mark refuses no upload and no migrated object", async () => {
  await here.purge(A, { hard: true });
  expect(await other.put(infoOf("a.jpg", OLD, "migration", T - 1), OLD, { when: "absent" })).toBe("stored");
  expect(await stored()).toBe("old");
  await here.delete(A, { deletedAt: now, reason: "" });
  await here.undelete(A);
  expect(await other.put(infoOf("a.jpg", NEW, "upload", T - 1), NEW, { when: "vacant" })).toBe("stored");
});

test("a mark without a date, as earlier versions left it, refuses nothing", async () => {
  await here.purge(A, { hard: true });
  const [name, mark] = [...remote.objects][0] ?? [];
  if (name === undefined || mark === undefined) throw new Error("there is no mark");
  const fields = { ...mark.description.fields, "deleted-at": "0" };
  remote.objects.set(name, { ...mark, description: { ...mark.description, fields } });
  expect(await putBy(other, T - 1)).toBe("stored");
  expect(await stored()).toBe("old");
});

test("createMarks() accepts what was requested after the first look-up of a mark with a date in the future", () => {
  const marks = createMarks(() => now);
  const mark = { deletedAt: T + 3_600_000, reason: "", expiresAt: 0 };
  expect(marks.refuses(fetched(T + 1), mark)).toBe(true);
  marks.see(A, mark);
  now += 10;
  marks.see(A, mark);
  expect([T - 1, T, T + 5].map((at) => marks.refuses(fetched(at), mark))).toEqual([true, false, false]);
});

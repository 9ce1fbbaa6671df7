// The contract of every bucket driver. bucket-driver.test.ts and bucket-driver.lab.test.ts run it.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { etagOf, type Key, toKey } from "../../src/core/object.ts";
import type { WholeBody } from "../../src/serve/body/spool/spool.ts";
import type { BucketDriver, Entry, PutCondition, PutResult, Store } from "../../src/serve/bucket/contract/driver.ts";
import { infoOf, randomBytes, readAll, wholeBody, wholeBodyInFile } from "../helpers/whole-body.ts";

export type OpenStore = (dir: string, now: () => number) => Promise<Store>;

const BLOCK = 65_536;
const A = toKey("a.jpg");
const ONE = wholeBody(Buffer.from("one"));
const TWO = wholeBody(Buffer.from("the second"));
const ALWAYS: PutCondition = { when: "always" };
const TOMBSTONE = { deletedAt: 5, reason: "by hand" };

/**
 * `isRemote`: this machine learns of an object only by looking it up. `maxKeyBytes`: of a key, because names in a
 * remote store contain prefix and bucket too.
 */
export function bucketDriverContract(
  name: string,
  openStore: OpenStore,
  { isRemote = false, maxKeyBytes = 1_024 } = {},
): void {
  describe(`${name} driver`, () => {
    let dir: string;
    let store: Store;
    let bucket: BucketDriver;
    let now: number;

    beforeEach(async () => {
      now = 1_000;
      dir = await mkdtemp(join(tmpdir(), "huiyuan-driver-"));
      store = await openStore(join(dir, "data"), () => now);
      bucket = store.bucket("10001234/photos");
    });

    afterEach(async () => {
      await store.close();
      await rm(dir, { recursive: true });
    });

    const put = (key: string, body = ONE, condition: PutCondition = ALWAYS, via?: "upload" | "mirror" | "migration") =>
      bucket.put(infoOf(key, body, via), body, condition);

    async function bytesAt(key: Key): Promise<Buffer> {
      const entry = await bucket.lookup(key);
      if (entry.state !== "object") throw new Error(`"${key}" is ${entry.state}`);
      return readAll(await bucket.open(entry.info), entry.info.size);
    }

    test("lookup() reports an untouched key as absent, with epoch 0", async () => {
      expect(await bucket.lookup(A)).toEqual({ state: "absent", epoch: 0 });
    });

    test("put() stores the bytes and every field of the description", async () => {
      const info = { ...infoOf("a.jpg", ONE), isSuspect: true, modifiedAt: 77 };
      expect(await bucket.put(info, ONE, { when: "absent" })).toBe("stored");
      expect(await bucket.lookup(A)).toEqual({ state: "object", info, epoch: 0, isStale: false });
      expect((await bytesAt(A)).toString()).toBe("one");
    });

    test("put() keeps digests that were not computed as unknown", async () => {
      const hashes = { sha256: ONE.hashes.sha256, sha1: undefined, md5: undefined };
      const info = { ...infoOf("a.jpg", ONE), hashes };
      expect(await bucket.put(info, { ...ONE, hashes }, { when: "absent" })).toBe("stored");
      expect(await bucket.lookup(A)).toEqual({ state: "object", info, epoch: 0, isStale: false });
    });

    test("put() of a body in a file removes the file", async () => {
      const path = join(dir, "body");
      const bytes = randomBytes(BLOCK + 1);
      await writeFile(path, bytes);
      const body = wholeBodyInFile(bytes, path);
      expect(await bucket.put(infoOf("a.jpg", body), body, ALWAYS)).toBe("stored");
      expect((await bytesAt(A)).equals(bytes)).toBe(true);
      await expect(readFile(path)).rejects.toThrow("ENOENT");
    });

    const isOne = { when: "etag", etag: etagOf(ONE.hashes) } as const;
    test("put() of a body in a file leaves the file if the put is refused", async () => {
      const path = join(dir, "body");
      const bytes = randomBytes(BLOCK + 1);
      await writeFile(path, bytes);
      const body = wholeBodyInFile(bytes, path);
      expect(await bucket.put(infoOf("a.jpg", ONE), ONE, ALWAYS)).toBe("stored");
      expect(await bucket.put(infoOf("a.jpg", body), body, { when: "absent" })).toBe("exists");
      expect(await bucket.put(infoOf("a.jpg", body), body, isOne)).toBe("stored");
      expect((await bytesAt(A)).equals(bytes)).toBe(true);
    });

    const isOther = { when: "etag", etag: etagOf(TWO.hashes) } as const;
    // Epochs before the put: nothing 0 · object 1 (put always) · tombstone 2 · purged 1
    const conditions: readonly [before: string, condition: PutCondition, result: PutResult, epoch: number][] = [
      ["nothing", { when: "absent" }, "stored", 0],
      ["nothing", { when: "absent", epoch: 0 }, "stored", 0],
      ["nothing", { when: "absent", epoch: 1 }, "outdated", 0],
      ["nothing", isOne, "exists", 0],
      ["nothing", ALWAYS, "stored", 1],
      ["object", { when: "absent" }, "exists", 1],
      ["object", { when: "absent", epoch: 1 }, "exists", 1],
      ["object", { when: "absent", epoch: 0 }, "exists", 1],
      ["object", isOne, "stored", 1],
      ["object", { ...isOne, epoch: 1 }, "stored", 1],
      ["object", { ...isOne, epoch: 0 }, "outdated", 1],
      ["object", isOther, "exists", 1],
      ["object", ALWAYS, "stored", 2],
      ["tombstone", { when: "absent" }, "deleted", 2],
      ["tombstone", { when: "absent", epoch: 2 }, "deleted", 2],
      ["tombstone", isOne, "deleted", 2],
      ["tombstone", ALWAYS, "stored", 3],
      ["nothing", { when: "vacant" }, "stored", 1],
      ["object", { when: "vacant" }, "exists", 1],
      ["tombstone", { when: "vacant" }, "stored", 3],
      ["purged", { when: "vacant" }, "stored", 2],
      ["purged", { when: "absent", epoch: 0 }, "outdated", 1],
      ["purged", { when: "absent", epoch: 1 }, "stored", 1],
      ["purged", { when: "absent" }, "stored", 1],
    ];
    test.each(conditions)(
      "put() onto %s with %o is %s and leaves epoch %i",
      async (before, condition, result, epoch) => {
        if (before === "object" || before === "tombstone") await put("a.jpg");
        if (before === "tombstone") await bucket.delete(A, TOMBSTONE);
        if (before === "purged") await bucket.purge(A, { hard: true });
        const untouched = await bucket.lookup(A);
        expect(await put("a.jpg", TWO, condition)).toBe(result);
        const entry = await bucket.lookup(A);
        expect(entry.epoch).toBe(epoch);
        if (result !== "stored") expect(entry).toEqual(untouched);
        else expect((await bytesAt(A)).toString()).toBe("the second");
      },
    );

    test("put() of the same bytes again keeps the object readable", async () => {
      await put("a.jpg");
      await put("a.jpg");
      expect((await bytesAt(A)).toString()).toBe("one");
      expect(await bucket.usage()).toEqual({ objects: 1, bytes: 3 });
    });

    test("put() when absent stores exactly one of 50 concurrent bodies, and that one is read", async () => {
      const bodies = Array.from({ length: 50 }, (_, index) => wholeBody(Buffer.from(`body ${index}`)));
      const results = await Promise.all(bodies.map((body) => put("a.jpg", body, { when: "absent", epoch: 0 })));
      expect(results.filter((result) => result === "stored")).toHaveLength(1);
      expect(results.filter((result) => result === "exists")).toHaveLength(49);
      expect((await bytesAt(A)).toString()).toBe(`body ${results.indexOf("stored")}`);
      expect(await bucket.usage()).toMatchObject({ objects: 1 });
    });

    test("put() when vacant stores exactly one of 50 concurrent bodies over a tombstone, and no earlier fill replaces it", async () => {
      await put("a.jpg");
      await bucket.delete(A, TOMBSTONE);
      const bodies = Array.from({ length: 50 }, (_, index) => wholeBody(Buffer.from(`body ${index}`)));
      const results = await Promise.all(bodies.map((body) => put("a.jpg", body, { when: "vacant" }, "upload")));
      expect(results.filter((result) => result === "stored")).toHaveLength(1);
      expect(results.filter((result) => result === "exists")).toHaveLength(49);
      expect(await put("a.jpg", ONE, { when: "absent", epoch: 2 })).toBe("exists");
      expect((await bytesAt(A)).toString()).toBe(`body ${results.indexOf("stored")}`);
    });

    test.skipIf(isRemote)(
      "findBySha1() finds an object of the same bucket, and nothing if the digest is not known",
      async () => {
        const { sha1 = "" } = TWO.hashes;
        expect(await bucket.findBySha1(sha1)).toBeUndefined();
        await put("two.jpg", TWO, { when: "vacant" }, "upload");
        expect(await bucket.findBySha1(sha1)).toMatchObject({ key: "two.jpg", hashes: TWO.hashes });
        expect(await store.bucket("10001234/others").findBySha1(sha1)).toBeUndefined();
        await bucket.delete(toKey("two.jpg"), TOMBSTONE);
        expect(await bucket.findBySha1(sha1)).toBeUndefined();
        await put("one.jpg", { ...ONE, hashes: { ...ONE.hashes, sha1: undefined, md5: undefined } });
        expect(await bucket.findBySha1("")).toBeUndefined();
      },
    );

    test.skipIf(isRemote)("hasTwin() tells whether another key of the same bucket has the same bytes", async () => {
      const info = infoOf("two.jpg", TWO);
      expect(await bucket.hasTwin(info)).toBe(false);
      await put("two.jpg", TWO);
      await put("one.jpg", ONE);
      await store.bucket("10001234/others").put(infoOf("else.jpg", TWO), TWO, ALWAYS);
      expect(await bucket.hasTwin(info)).toBe(false);
      await put("twin.jpg", TWO);
      expect(await bucket.hasTwin(info)).toBe(true);
      await bucket.delete(toKey("two.jpg"), TOMBSTONE);
      expect(await bucket.hasTwin(info)).toBe(true);
      await bucket.delete(toKey("twin.jpg"), TOMBSTONE);
      expect(await bucket.hasTwin(info)).toBe(false);
    });

    test("delete() leaves a tombstone, raises the epoch, and returns whether an object was there", async () => {
      await put("a.jpg");
      expect(await bucket.delete(A, TOMBSTONE)).toBe(true);
      expect(await bucket.lookup(A)).toEqual({ state: "tombstone", ...TOMBSTONE, epoch: 2 });
      expect(await bucket.delete(A, { deletedAt: 6, reason: "again" })).toBe(false);
      expect(await bucket.lookup(A)).toEqual({ state: "tombstone", deletedAt: 6, reason: "again", epoch: 3 });
      expect(await bucket.delete(toKey("never.jpg"), TOMBSTONE)).toBe(false);
      expect(await bucket.lookup(toKey("never.jpg"))).toEqual({ state: "tombstone", ...TOMBSTONE, epoch: 1 });
    });

    test("undelete() lifts a tombstone and keeps the epoch, so that an earlier fill is still refused", async () => {
      expect(await bucket.undelete(A)).toBe(false);
      await bucket.delete(A, TOMBSTONE);
      expect(await bucket.undelete(A)).toBe(true);
      expect(await bucket.lookup(A)).toEqual({ state: "absent", epoch: 1 });
      expect(await put("a.jpg", ONE, { when: "absent", epoch: 0 })).toBe("outdated");
      expect(await put("a.jpg", ONE, { when: "absent", epoch: 1 })).toBe("stored");
      expect(await bucket.undelete(A)).toBe(false);
    });

    test("lookup() counts an expired tombstone as absent and keeps its epoch", async () => {
      await bucket.delete(A, { ...TOMBSTONE, expiresAt: 1_002 });
      now = 1_001;
      expect(await bucket.lookup(A)).toEqual({ state: "tombstone", ...TOMBSTONE, expiresAt: 1_002, epoch: 1 });
      expect(await put("a.jpg", ONE, { when: "absent", epoch: 1 })).toBe("deleted");
      now = 1_002;
      expect(await bucket.lookup(A)).toEqual({ state: "absent", epoch: 1 });
      expect(await bucket.undelete(A)).toBe(false);
      expect(await put("a.jpg", ONE, { when: "absent", epoch: 0 })).toBe("outdated");
      const fetchedSince = infoOf("a.jpg", ONE, "mirror", now);
      expect(await bucket.put(fetchedSince, ONE, { when: "absent", epoch: 1 })).toBe("stored");
      expect(await bucket.lookup(A)).toMatchObject({ state: "object", epoch: 1 });
    });

    test("a later delete() sets the end of the tombstone", async () => {
      await bucket.delete(A, { ...TOMBSTONE, expiresAt: 1_002 });
      await bucket.delete(A, TOMBSTONE);
      now = 2_000;
      expect(await bucket.lookup(A)).toMatchObject({ state: "tombstone", reason: "by hand", epoch: 2 });
    });

    const renewal = {
      etag: etagOf(ONE.hashes),
      epoch: 0,
      originEtag: 'W/"2"',
      originLastModified: "Thu, 01 Jan 1970 00:00:02 GMT",
      validated: { at: 2_000, life: { cacheControl: "max-age=9", expires: "0" } },
    };

    test("renew() replaces validators and validation, ends staleness, and changes nothing else", async () => {
      const info = infoOf("a.jpg", ONE);
      await bucket.put(info, ONE, { when: "absent" });
      await bucket.purge(A, { hard: false });
      expect(await bucket.renew(A, { ...renewal, epoch: 1 })).toBe(true);
      const { originEtag, originLastModified, validated } = renewal;
      const provenance = { ...info.provenance, originEtag, originLastModified, validated };
      expect(await bucket.lookup(A)).toEqual({
        state: "object",
        info: { ...info, provenance },
        epoch: 1,
        isStale: false,
      });
      expect((await bytesAt(A)).toString()).toBe("one");
      expect(await bucket.usage()).toEqual({ objects: 1, bytes: 3 });
    });

    test.each([true, false])("renew() with staysStale keeps the staleness: %s", async (isStale) => {
      await put("a.jpg", ONE, { when: "absent" });
      if (isStale) await bucket.purge(A, { hard: false });
      const { epoch } = await bucket.lookup(A);
      expect(await bucket.renew(A, { ...renewal, epoch, staysStale: true })).toBe(true);
      const { validated } = renewal;
      expect(await bucket.lookup(A)).toMatchObject({ info: { provenance: { validated } }, epoch, isStale });
    });

    const others: readonly [what: string, change: () => Promise<unknown>][] = [
      ["was never stored", async () => {}],
      ["has an upload", () => put("a.jpg", ONE, { when: "absent" }, "upload")],
      ["has a migrated object", () => put("a.jpg", ONE, { when: "absent" }, "migration")],
      ["has other bytes", () => put("a.jpg", TWO, { when: "absent" })],
      [
        "was purged since",
        async () => [await put("a.jpg", ONE, { when: "absent" }), await bucket.purge(A, { hard: false })],
      ],
      [
        "was uploaded since",
        async () => [await put("a.jpg", ONE, { when: "absent" }), await put("a.jpg", ONE, ALWAYS)],
      ],
      [
        "was deleted since",
        async () => [await put("a.jpg", ONE, { when: "absent" }), await bucket.delete(A, TOMBSTONE)],
      ],
    ];
    test.each(others)("renew() of a key that %s changes nothing", async (_what, change) => {
      await change();
      const untouched = await bucket.lookup(A);
      expect(await bucket.renew(A, renewal)).toBe(false);
      expect(await bucket.lookup(A)).toEqual(untouched);
    });

    test("purge() of one version purges it, and changes nothing if the key has another", async () => {
      const { etag } = renewal;
      await put("a.jpg", ONE, { when: "absent" });
      expect(await bucket.purge(A, { hard: true, only: { etag, epoch: 1 } })).toBe(false);
      expect(await bucket.lookup(A)).toMatchObject({ state: "object", epoch: 0, isStale: false });
      expect(await bucket.purge(A, { hard: false, only: { etag, epoch: 0 } })).toBe(true);
      expect(await bucket.lookup(A)).toMatchObject({ state: "object", epoch: 1, isStale: true });
      expect(await bucket.purge(A, { hard: true, only: { etag, epoch: 1 } })).toBe(true);
      expect(await bucket.lookup(A)).toEqual({ state: "absent", epoch: 2 });
    });

    test.each(others)("purge() of one version changes nothing if the key %s", async (_what, change) => {
      await change();
      const untouched = await bucket.lookup(A);
      const { etag, epoch } = renewal;
      for (const hard of [true, false]) expect(await bucket.purge(A, { hard, only: { etag, epoch } })).toBe(false);
      expect(await bucket.lookup(A)).toEqual(untouched);
    });

    const rivals: readonly [what: string, change: () => Promise<unknown>, result: PutResult, left: string][] = [
      ["an upload", () => put("a.jpg", TWO, ALWAYS, "upload"), "exists", "the second"],
      ["an upload of the same bytes", () => put("a.jpg", ONE, ALWAYS, "upload"), "outdated", "one"],
      ["a purge", () => bucket.purge(A, { hard: false }), "outdated", "one"],
      ["a delete", () => bucket.delete(A, TOMBSTONE), "deleted", "tombstone"],
      ["a hard purge", () => bucket.purge(A, { hard: true }), "exists", "absent"],
    ];
    test.each(rivals)("put() over an etag loses to %s before it", async (_what, change, result, left) => {
      const newer = wholeBody(Buffer.from("newer"));
      await put("a.jpg", ONE, { when: "absent" });
      await change();
      expect(await put("a.jpg", newer, { ...isOne, epoch: 0 })).toBe(result);
      const { state } = await bucket.lookup(A);
      expect(state === "object" ? (await bytesAt(A)).toString() : state).toBe(left);
    });

    test.each([rivals[0]!, rivals[3]!])(
      "put() over an etag at the same time as %s leaves the other's result",
      async (_what, change, _result, left) => {
        const newer = wholeBody(Buffer.from("newer"));
        await put("a.jpg", ONE, { when: "absent" });
        await Promise.all([put("a.jpg", newer, { ...isOne, epoch: 0 }), change()]);
        const { state } = await bucket.lookup(A);
        expect(state === "object" ? (await bytesAt(A)).toString() : state).toBe(left);
      },
    );

    test("put() over an etag stores exactly one of 20 concurrent bodies", async () => {
      await put("a.jpg", ONE, { when: "absent" });
      const bodies = Array.from({ length: 20 }, (_, index) => wholeBody(Buffer.from(`version ${index}`)));
      const results = await Promise.all(bodies.map((body) => put("a.jpg", body, { ...isOne, epoch: 0 })));
      expect(results.filter((result) => result === "stored")).toHaveLength(1);
      expect((await bytesAt(A)).toString()).toBe(`version ${results.indexOf("stored")}`);
    });

    const purges: readonly [via: "mirror" | "upload" | "migration", hard: boolean, after: string, was: boolean][] = [
      ["mirror", false, "stale", true],
      ["mirror", true, "absent", true],
      ["upload", false, "fresh", false],
      ["upload", true, "fresh", false],
      ["migration", true, "fresh", false],
    ];
    test.each(purges)("purge() of an object by %s (hard: %s) leaves it %s", async (via, hard, after, was) => {
      await put("a.jpg", ONE, { when: "absent" }, via);
      expect(await bucket.purge(A, { hard })).toBe(was);
      const entry = await bucket.lookup(A);
      expect(entry.epoch).toBe(1);
      const found = entry.state === "object" ? (entry.isStale ? "stale" : "fresh") : entry.state;
      expect(found).toBe(after);
    });

    test("purge() raises the epoch of a key without an object, and keeps a tombstone", async () => {
      expect(await bucket.purge(A, { hard: false })).toBe(false);
      expect(await bucket.lookup(A)).toEqual({ state: "absent", epoch: 1 });
      await bucket.delete(A, TOMBSTONE);
      expect(await bucket.purge(A, { hard: true })).toBe(false);
      expect(await bucket.lookup(A)).toEqual({ state: "tombstone", ...TOMBSTONE, epoch: 3 });
    });

    test("put() over a stale object makes it fresh", async () => {
      await put("a.jpg", ONE, { when: "absent" });
      await bucket.purge(A, { hard: false });
      expect(await put("a.jpg", TWO, { ...isOne, epoch: 1 })).toBe("stored");
      expect(await bucket.lookup(A)).toMatchObject({ state: "object", isStale: false, epoch: 1 });
    });

    test("copy() makes an independent object with the source's bytes", async () => {
      await put("a.jpg");
      const to = { ...infoOf("b.jpg", ONE), storedAt: 9 };
      expect(await bucket.copy(A, to, { when: "absent" })).toBe("stored");
      expect(await bucket.copy(A, to, { when: "absent" })).toBe("exists");
      await bucket.delete(A, TOMBSTONE);
      expect(await bucket.lookup(to.key)).toEqual({ state: "object", info: to, epoch: 0, isStale: false });
      expect((await bytesAt(to.key)).toString()).toBe("one");
    });

    test("copy() returns undefined if the source is missing or has other bytes than described", async () => {
      expect(await bucket.copy(A, infoOf("b.jpg", ONE), ALWAYS)).toBeUndefined();
      await put("a.jpg", TWO);
      expect(await bucket.copy(A, infoOf("b.jpg", ONE), ALWAYS)).toBeUndefined();
      expect(await bucket.lookup(toKey("b.jpg"))).toEqual({ state: "absent", epoch: 0 });
    });

    test("copy() onto its own key keeps the bytes", async () => {
      await put("a.jpg");
      expect(await bucket.copy(A, infoOf("a.jpg", ONE), ALWAYS)).toBe("stored");
      expect((await bytesAt(A)).toString()).toBe("one");
    });

    test("open() returns undefined for an object that was replaced or deleted, with any description", async () => {
      await put("a.jpg");
      await put("a.jpg", TWO);
      expect(await bucket.open(infoOf("a.jpg", ONE))).toBeUndefined();
      await bucket.delete(A, TOMBSTONE);
      expect(await bucket.open(infoOf("a.jpg", TWO))).toBeUndefined();
    });

    test("open() with mayBeReplaced reads the described bytes or none, and none of a deleted or purged object", async () => {
      const open = (body: WholeBody) => bucket.open(infoOf("a.jpg", body, "mirror"), { mayBeReplaced: true });
      await put("a.jpg", ONE, ALWAYS, "mirror");
      expect((await readAll(await open(ONE), ONE.size)).toString()).toBe("one");
      await put("a.jpg", TWO, ALWAYS, "mirror");
      const replaced = await open(ONE);
      if (replaced !== undefined) expect((await readAll(replaced, ONE.size)).toString()).toBe("one");
      expect((await readAll(await open(TWO), TWO.size)).toString()).toBe("the second");
      await bucket.purge(A, { hard: true });
      expect([await open(ONE), await open(TWO)]).toEqual([undefined, undefined]);
      await put("a.jpg", TWO, ALWAYS, "mirror");
      await bucket.delete(A, TOMBSTONE);
      expect([await open(ONE), await open(TWO)]).toEqual([undefined, undefined]);
    });

    test("open() returns undefined for an object that was replaced, deleted or purged after lookup, and opens any other", async () => {
      const lookedUp = async (key: Key) => {
        const entry = await bucket.lookup(key);
        if (entry.state !== "object") throw new Error(`"${key}" is ${entry.state}`);
        return entry.info;
      };
      await put("a.jpg", ONE, ALWAYS, "mirror");
      await put("b.jpg");
      const first = await lookedUp(A);
      const other = await lookedUp(toKey("b.jpg"));
      await put("a.jpg", TWO, ALWAYS, "mirror");
      expect(await bucket.open(first)).toBeUndefined();
      const second = await lookedUp(A);
      await bucket.purge(A, { hard: true });
      expect(await bucket.open(second)).toBeUndefined();
      await put("a.jpg");
      const third = await lookedUp(A);
      await bucket.delete(A, TOMBSTONE);
      expect(await bucket.open(third)).toBeUndefined();
      expect((await readAll(await bucket.open(other), other.size)).toString()).toBe("one");
    });

    test("read() continues with the old bytes while the object is replaced and deleted", async () => {
      const old = wholeBody(randomBytes(3 * BLOCK));
      await put("a.jpg", old);
      const reader = await bucket.open(infoOf("a.jpg", old));
      await put("a.jpg", TWO);
      const during = await reader!.read(0, BLOCK - 1);
      await bucket.delete(A, TOMBSTONE);
      const after = await readAll(reader, old.size);
      expect(old.content.kind === "buffer" && after.equals(old.content.buffer)).toBe(true);
      expect(during.equals(after.subarray(0, BLOCK))).toBe(true);
    });

    test("read() returns exactly the bytes of any range, across blocks and at the ends", async () => {
      const bytes = randomBytes(2 * BLOCK + 100);
      await put("a.jpg", wholeBody(bytes));
      const reader = (await bucket.open(infoOf("a.jpg", wholeBody(bytes))))!;
      const last = bytes.length - 1;
      const edges = [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK - 1, 2 * BLOCK, last - 1, last];
      for (const start of edges) {
        for (const end of edges.filter((edge) => edge >= start)) {
          for (const into of [undefined, Buffer.alloc(end - start + 1)]) {
            const part = await reader.read(start, end, into);
            expect(part.equals(bytes.subarray(start, end + 1)), `${start}-${end}`).toBe(true);
          }
        }
      }
      reader.close();
    });

    test("put() and read() work for an object of 20 MiB", async () => {
      const bytes = randomBytes(20 * 1_048_576);
      await put("a.jpg", wholeBody(bytes));
      expect((await bytesAt(A)).equals(bytes)).toBe(true);
    });

    test("put() stores keys that look alike to a file system as separate objects", async () => {
      const keys = [
        "a",
        "a/b",
        "A",
        "a/",
        "a//b",
        "caf\u00e9",
        "cafe\u0301",
        "CON",
        "x.",
        "x",
        "%2F",
        "a b",
        "a+b",
        "\\",
      ];
      keys.push(
        "长".repeat(Math.floor(maxKeyBytes / 3)),
        `${"s".repeat(300)}/${"t".repeat(maxKeyBytes - 301)}`,
        "🌄.jpg",
        "..x/...",
        "'); DROP TABLE entries; --",
      );
      // More than 16 bytes, as any image has: a tombstone in S3 has 16, and listings skip that size.
      const textOf = (key: string) => `the bytes of key ${key}`;
      await Promise.all(keys.map((key) => put(key, wholeBody(Buffer.from(textOf(key))))));
      for (const key of keys) expect((await bytesAt(toKey(key))).toString()).toBe(textOf(key));
      expect(await bucket.usage()).toMatchObject({ objects: keys.length });
    });

    test("list() sorts by UTF-8 bytes, unlike UTF-16, in pages of any size", async () => {
      // U+FF5E sorts after U+1F304 in UTF-16 and before it in UTF-8.
      const keys = ["a", "a!", "a/b", "a/～", "a/🌄", "a0", "b", "é", "～", "🌄", "🌄/x"];
      await Promise.all([...keys].reverse().map((key) => put(key)));
      const sorted = [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      expect(sorted).not.toEqual([...keys].sort());
      for (const limit of [1, 2, 3, keys.length, 100]) expect(await listAll("", limit)).toEqual(sorted);
      expect(await listAll("a/", 2)).toEqual(["a/b", "a/～", "a/🌄"]);
      expect(await listAll("🌄", 1)).toEqual(["🌄", "🌄/x"]);
      expect(await listAll("zz", 5)).toEqual([]);
    });

    test("list() returns whole descriptions, skips keys without an object, and ends without a next page", async () => {
      for (const key of ["a", "b", "c", "d"]) await put(key);
      await bucket.delete(toKey("b"), TOMBSTONE);
      await bucket.purge(toKey("c"), { hard: true });
      const page = await bucket.list({ prefix: "", after: undefined, limit: 2 });
      expect(page).toEqual({ objects: [infoOf("a", ONE), infoOf("d", ONE)], next: undefined });
      expect(await bucket.list({ prefix: "c", after: toKey("a"), limit: 9 })).toEqual({ objects: [], next: undefined });
      expect((await bucket.list({ prefix: "d", after: toKey("a"), limit: 9 })).objects).toHaveLength(1);
    });

    async function listAll(prefix: string, limit: number): Promise<string[]> {
      const keys: string[] = [];
      let after: Key | undefined;
      do {
        const page = await bucket.list({ prefix, after, limit });
        expect(page.objects.length).toBeLessThanOrEqual(limit);
        keys.push(...page.objects.map(({ key }) => key));
        after = page.next;
      } while (after !== undefined);
      return keys;
    }

    test("usage() counts objects and their bytes through every change", async () => {
      expect(await bucket.usage()).toEqual({ objects: 0, bytes: 0 });
      await put("a");
      await put("b");
      await bucket.copy(toKey("a"), infoOf("c", ONE), ALWAYS);
      await put("b", TWO);
      expect(await bucket.usage()).toEqual({ objects: 3, bytes: 3 + 3 + 10 });
      await bucket.delete(toKey("b"), TOMBSTONE);
      await bucket.purge(toKey("c"), { hard: true });
      expect(await bucket.usage()).toEqual({ objects: 1, bytes: 3 });
      await put("b", TWO);
      expect(await bucket.usage()).toEqual({ objects: 2, bytes: 13 });
    });

    test("queryKeys() counts objects with a query in their key through every change", async () => {
      expect(await bucket.queryKeys()).toBe(0);
      for (const key of ["a", "a?1", "a?2", "d/?", "b%3F"]) await put(key);
      await put("a?1", TWO);
      await bucket.copy(toKey("a"), infoOf("c?1", ONE), ALWAYS);
      expect(await bucket.queryKeys()).toBe(4);
      await bucket.delete(toKey("a?1"), TOMBSTONE);
      await bucket.delete(toKey("a?1"), TOMBSTONE);
      await bucket.delete(toKey("a"), TOMBSTONE);
      await bucket.purge(toKey("a?2"), { hard: true });
      expect(await bucket.queryKeys()).toBe(2);
      await put("a?1", TWO);
      expect([await bucket.queryKeys(), await store.bucket("10001234/other").queryKeys()]).toEqual([3, 0]);
    });

    test("bucket() of one store returns independent buckets", async () => {
      const other = store.bucket("10001234/other");
      await put("a.jpg");
      const untouched: Entry = { state: "absent", epoch: 0 };
      expect(await other.lookup(A)).toEqual(untouched);
      await other.put(infoOf("a.jpg", ONE), ONE, ALWAYS);
      await bucket.delete(A, TOMBSTONE);
      expect((await readAll(await other.open(infoOf("a.jpg", ONE)), 3)).toString()).toBe("one");
      expect(store.bucket("10001234/other")).toBe(other);
    });

    test("probe() resolves while the store accepts writes", async () => {
      await expect(store.probe()).resolves.toBeUndefined();
    });
  });
}

// The contract of a bucket in a remote store. remote-bucket.test.ts runs it on stores in this process,
// s3-bucket.test.ts on a real Ceph RGW. A new backend is one line there.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Key, type ObjectInfo, toKey } from "../../src/core/object.ts";
import type { ByteSource, RemoteBucket, RemoteCondition, RemoteStore } from "../../src/serve/bucket/remote/remote.ts";
import { infoOf, randomBytes, wholeBody } from "../helpers/whole-body.ts";

export interface RemoteLab {
  /** Opened with the prefix `images/`. */
  readonly store: RemoteStore;
  /** Another tool puts an object. */
  putForeign(name: string, bytes: Buffer): void | Promise<void>;
  /** True: the lock of the caller decides between writers. */
  readonly ignoresConditions?: boolean;
  /** Conditions that the store obeys; all by default. */
  readonly obeys?: { readonly absent: boolean; readonly version: boolean } | undefined;
  /** Called before each listing. */
  settle?(): void;
  close(): Promise<void>;
}

const ABSENT: RemoteCondition = { when: "absent" };

function sourceOf(bytes: Buffer): ByteSource {
  const { size, hashes } = wholeBody(bytes);
  return { size, hashes, read: async (start, end) => bytes.subarray(start, end + 1) };
}

let buckets = 0;

/** `timeoutMs`: of the opening. */
export function remoteBucketContract(name: string, open: () => Promise<RemoteLab>, timeoutMs?: number): void {
  describe(`${name}: bucket of a remote store`, () => {
    let lab: RemoteLab;
    let bucket: RemoteBucket;
    let folder: string;

    beforeAll(async () => {
      lab = await open();
    }, timeoutMs);
    afterAll(() => lab?.close());
    beforeEach(() => {
      buckets += 1;
      const id = `10001234/b${buckets}`;
      bucket = lab.store.bucket(id);
      folder = `images/${id}/`;
    });

    const list: RemoteBucket["list"] = (options) => {
      lab.settle?.();
      return bucket.list(options);
    };

    function put(key: string, bytes: Buffer, condition: RemoteCondition = ABSENT, more: Partial<ObjectInfo> = {}) {
      const source = sourceOf(bytes);
      return bucket.put({ ...infoOf(key, wholeBody(bytes)), ...more }, source, { condition, isStale: false });
    }

    async function removeSeen(key: string, at = 5): Promise<boolean> {
      const seen = await bucket.head(toKey(key));
      return bucket.removeVersion(toKey(key), "version" in seen ? seen.version : undefined, at);
    }

    async function get(key: Key): Promise<Buffer | undefined> {
      const body = await bucket.get(key, undefined);
      if (body === undefined) return undefined;
      const pieces: Buffer[] = [];
      for await (const piece of body) pieces.push(piece);
      return Buffer.concat(pieces);
    }

    const KEYS = ["a.jpg", "回源/图 片.jpg", "a+b%20c&d=e?f#g.jpg", "a//b/", "~!'()*@,;:$\\.jpg", "🌄"];
    // The longest that fits behind `images/10001234/b1/`.
    KEYS.push(`长${"s".repeat(990)}`);
    test.each(KEYS)("put() and get() store and return the key %j", async (key) => {
      const bytes = randomBytes(1_000);
      expect(await put(key, bytes)).toBe(true);
      expect((await get(toKey(key)))?.equals(bytes)).toBe(true);
      const info = infoOf(key, wholeBody(bytes));
      expect(await bucket.head(toKey(key))).toMatchObject({ state: "object", info, isStale: false });
      const { names } = await list({ prefix: "", after: undefined, limit: 10 });
      expect(names).toMatchObject([{ key, size: 1_000 }]);
      expect([info.hashes.md5, undefined]).toContain(names[0]?.md5);
      expect(await removeSeen(key)).toBe(true);
      const left = await bucket.head(toKey(key));
      expect(left.state === "absent" || (left.state === "tombstone" && left.expiresAt === 0)).toBe(true);
    });

    test("removeVersion() removes only the version that was seen", async () => {
      const key = toKey("a.jpg");
      await put(key, randomBytes(100));
      const seen = await bucket.head(key);
      await put(key, randomBytes(100), { when: "always" });
      const later = await bucket.head(key);
      expect(await bucket.removeVersion(key, "version" in seen ? seen.version : "", 7)).toBe(false);
      expect(await bucket.head(key)).toEqual(later);
      expect(await removeSeen(key)).toBe(true);
      expect((await list({ prefix: "", after: undefined, limit: 10 })).names).toEqual([]);
    });

    test("removeVersion() leaves a mark with its date, also where nothing is, and a later one replaces it", async () => {
      const key = toKey("a.jpg");
      await put(key, randomBytes(100));
      expect(await removeSeen(key, 7)).toBe(true);
      const first = await bucket.head(key);
      expect(await removeSeen(key, 9)).toBe(true);
      const second = await bucket.head(key);
      expect(await removeSeen("vacant.jpg", 8)).toBe(true);
      const vacant = await bucket.head(toKey("vacant.jpg"));
      const dates = [first, second, vacant].map((entry) =>
        entry.state === "tombstone" ? entry.deletedAt : entry.state,
      );
      const obeyed = lab.obeys ?? { absent: true, version: true };
      expect(dates[0]).toBe(obeyed.version ? 7 : "absent");
      expect(dates[1]).toBe(obeyed.absent ? 9 : "absent");
      expect(dates[2]).toBe(obeyed.absent ? 8 : "absent");
      expect((await list({ prefix: "", after: undefined, limit: 10 })).names).toEqual([]);
    });

    test("removeVersion() of nothing keeps what another writer has put since", async () => {
      const bytes = randomBytes(100);
      await put("a.jpg", bytes);
      await bucket.removeVersion(toKey("a.jpg"), undefined, 7);
      expect((await get(toKey("a.jpg")))?.equals(bytes)).toBe(true);
    });

    test("head() returns every field of a description with any characters", async () => {
      const bytes = randomBytes(10);
      const provenance = {
        via: "mirror",
        originUrl: "http://源站.example/a%20b.jpg?x=1&y='2'",
        originEtag: 'W/"  two blanks  "',
        originLastModified: "Tue, 03 Jun 2014 10:00:00 GMT",
        fetchedAt: 5,
        validated: { at: 6, life: { cacheControl: "max-age=1, 私", age: "3" } },
      } as const;
      const headers = { "content-disposition": 'attachment; filename="图 片\t.jpg"', "content-language": "zh" };
      const odd = { provenance, headers, isSuspect: true, modifiedAt: 7, storedAt: 8 };
      await put("a.jpg", bytes, ABSENT, odd);
      const info = { ...infoOf("a.jpg", wholeBody(bytes)), ...odd };
      expect(await bucket.head(toKey("a.jpg"))).toMatchObject({ state: "object", info });
    });

    test("put() stores an object without metadata that is too long for S3", async () => {
      const bytes = randomBytes(10);
      const info = infoOf("a.jpg", wholeBody(bytes));
      const provenance = { ...info.provenance, originUrl: `http://o.example/${"长".repeat(2_000)}` };
      expect(await put("a.jpg", bytes, ABSENT, { provenance })).toBe(true);
      const found = await bucket.head(toKey("a.jpg"));
      expect(found).toMatchObject({ state: "object", info: { provenance: { ...provenance, originUrl: undefined } } });
    });

    test("put() when absent stores exactly one of 8 concurrent bodies", async ({ skip }) => {
      if (lab.ignoresConditions === true) skip("only one writer at a time");
      const bodies = Array.from({ length: 8 }, () => randomBytes(1_000));
      const results = await Promise.all(bodies.map((bytes) => put("a.jpg", bytes)));
      expect(results.filter(Boolean)).toHaveLength(1);
      expect((await get(toKey("a.jpg")))?.equals(bodies[results.indexOf(true)] as Buffer)).toBe(true);
    });

    test("put() with a version replaces only that version", async () => {
      await put("a.jpg", Buffer.from("one"));
      const first = await bucket.head(toKey("a.jpg"));
      const over: RemoteCondition = { when: "version", version: first.state === "object" ? first.version : "" };
      expect(await put("a.jpg", Buffer.from("two"), over)).toBe(true);
      expect(await put("a.jpg", Buffer.from("three"), over)).toBe(false);
      expect((await get(toKey("a.jpg")))?.toString()).toBe("two");
    });

    test("putTombstone() stores a tombstone that stops a put when absent and that list() omits", async () => {
      await put("a.jpg", Buffer.from("one"));
      const one = await bucket.head(toKey("a.jpg"));
      const over: RemoteCondition = { when: "version", version: one.state === "object" ? one.version : "" };
      const tombstone = { deletedAt: 5, reason: "不要了" };
      if (lab.ignoresConditions !== true)
        expect(await bucket.putTombstone(toKey("a.jpg"), tombstone, ABSENT)).toBe(false);
      expect(await bucket.putTombstone(toKey("a.jpg"), tombstone, over)).toBe(true);
      expect(await bucket.head(toKey("a.jpg"))).toMatchObject({ state: "tombstone", deletedAt: 5, reason: "不要了" });
      expect(await put("a.jpg", Buffer.from("one"))).toBe(false);
      expect(await list({ prefix: "", after: undefined, limit: 10 })).toEqual({ names: [], isEnd: true });
    });

    test("get() returns exactly that version", async () => {
      const bytes = randomBytes(5_000);
      await put("a.jpg", bytes);
      const found = await bucket.head(toKey("a.jpg"));
      const version = found.state === "object" ? found.version : "";
      expect(await bucket.get(toKey("a.jpg"), version)).toBeDefined();
      await put("a.jpg", randomBytes(5_000), { when: "always" });
      expect(await bucket.get(toKey("a.jpg"), version)).toBeUndefined();
    });

    test("copy() copies one version inside the store", async () => {
      const bytes = randomBytes(1_000);
      await put("图 a+b.jpg", bytes);
      const found = await bucket.head(toKey("图 a+b.jpg"));
      const version = found.state === "object" ? found.version : "";
      const to = infoOf("b.jpg", wholeBody(bytes), "upload");
      expect(await bucket.copy(toKey("图 a+b.jpg"), version, to, { isStale: false })).toBe(true);
      expect(await bucket.head(toKey("b.jpg"))).toMatchObject({ state: "object", info: to });
      expect(await bucket.copy(toKey("图 a+b.jpg"), '"other"', to, { isStale: false })).toBe(false);
      expect(await bucket.copy(toKey("never.jpg"), version, to, { isStale: false })).toBe(false);
      // A copy onto itself changes only the description.
      expect(await bucket.copy(toKey("b.jpg"), version, to, { isStale: true })).toBe(true);
      expect(await bucket.head(toKey("b.jpg"))).toMatchObject({ info: to, isStale: true });
    });

    test("list() orders keys by UTF-8 bytes over pages of any size", async () => {
      const keys = ["a", "a!", "a b", "a+b", "a/～", "a/🌄", "b", `b${"長".repeat(330)}`, "é", "～", "🌄"];
      for (const key of keys) await put(key, Buffer.from("one"));
      await bucket.putTombstone(toKey("a0"), { deletedAt: 1, reason: "" }, ABSENT);
      const sorted = [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      for (const limit of [1, 3, sorted.length, 100]) {
        const seen: Key[] = [];
        for (let isEnd = false; !isEnd; ) {
          const page = await list({ prefix: "", after: seen.at(-1), limit });
          expect(page.names.length).toBeLessThanOrEqual(limit);
          seen.push(...page.names.map(({ key }) => key));
          isEnd = page.isEnd;
        }
        expect(seen).toEqual(sorted);
      }
    });

    test("head() reports an object of another tool as foreign, and put() when absent keeps it", async () => {
      await lab.putForeign(`${folder}theirs.jpg`, Buffer.from("theirs"));
      expect(await bucket.head(toKey("theirs.jpg"))).toMatchObject({ state: "foreign", size: 6 });
      expect(await put("theirs.jpg", Buffer.from("ours"))).toBe(false);
    });
  });
}

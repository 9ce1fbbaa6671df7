import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Log } from "../../../../../../src/core/log.ts";
import { etagOf, toKey } from "../../../../../../src/core/object.ts";
import { createEntryCache } from "../../../../../../src/serve/bucket/fs/catalogue/entry-cache.ts";
import { prepareCatalogueReads } from "../../../../../../src/serve/bucket/fs/catalogue/reads.ts";
import { openCatalogueForReading } from "../../../../../../src/serve/bucket/fs/catalogue/schema.ts";
import { createFsStore, type FsStore } from "../../../../../../src/serve/bucket/fs/fs-store.ts";
import { infoOf, wholeBody } from "../../../../../helpers/whole-body.ts";

const BUCKETS = ["1/one", "1/other"];
const KEYS = ["a.jpg", "b.jpg"].map(toKey);
const BODIES = ["first", "second", "third"].map((text) => wholeBody(Buffer.from(text)));
const quiet: Log = { debug() {}, info() {}, warn() {}, error() {} };

let dir: string;
let store: FsStore;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "huiyuan-cache-"));
  store = await createFsStore({ dir, now: Date.now, log: quiet, minFreeBytes: 0, sweepEveryMs: 0 });
});

afterEach(async () => {
  await store.close();
  await rm(dir, { recursive: true });
});

const step = fc.record({
  what: fc.constantFrom(
    ...(["put", "put", "put", "replace", "copy", "delete", "undelete", "renew", "purge", "forget", "confirm"] as const),
  ),
  bucket: fc.constantFrom(...BUCKETS),
  key: fc.constantFrom(...KEYS),
  body: fc.constantFrom(...BODIES),
  via: fc.constantFrom("upload" as const, "mirror" as const),
  hard: fc.boolean(),
});

type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

let renewals = 0;

async function take({ what, bucket: id, key, body, via, hard }: Step): Promise<unknown> {
  const bucket = store.bucket(id);
  const { sha256 } = body.hashes;
  const other = KEYS.find((each) => each !== key) ?? key;
  switch (what) {
    case "put":
      return store.bucket(id).put(infoOf(key, body, via), body, { when: "always" }, hard ? "pending" : undefined);
    case "replace":
      return bucket.put(infoOf(key, body, via), body, { when: "etag", etag: etagOf(BODIES[0]!.hashes) });
    case "copy": {
      const source = await bucket.lookup(key);
      const info = source.state === "object" ? source.info : infoOf(key, body);
      return bucket.copy(key, { ...info, key: other }, { when: "always" });
    }
    case "delete":
      return bucket.delete(key, { deletedAt: 1, reason: "a test", expiresAt: undefined });
    case "undelete":
      return bucket.undelete(key);
    case "renew": {
      const entry = await bucket.lookup(key);
      const { hashes } = entry.state === "object" ? entry.info : body;
      renewals += 1;
      const about = { originEtag: '"new"', originLastModified: undefined, validated: { at: renewals, life: {} } };
      return bucket.renew(key, { etag: etagOf(hashes), epoch: entry.epoch, ...about });
    }
    case "purge":
      return bucket.purge(key, { hard });
    case "forget":
      return bucket.forget(key, sha256, true);
    case "confirm":
      return bucket.confirm(key, sha256);
  }
}

test("lookup() always returns the catalogue's entry, after and during any changes and lookups", async () => {
  const database = openCatalogueForReading(join(dir, "catalogue.db"));
  const catalogue = prepareCatalogueReads(database, Date.now);
  const places = BUCKETS.flatMap((bucket) => KEYS.map((key) => ({ bucket, key })));
  const lookUpAll = () => Promise.all(places.map(({ bucket, key }) => store.bucket(bucket).lookup(key)));
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(step, { minLength: 1, maxLength: 4 }), { maxLength: 10 }), async (rounds) => {
      for (const steps of rounds) {
        let isUnderWay = true;
        const taken = Promise.all(steps.map(take)).finally(() => {
          isUnderWay = false;
        });
        while (isUnderWay) {
          await lookUpAll();
          await new Promise((resolve) => setImmediate(resolve));
        }
        await taken;
        const recent = places.map(({ bucket, key }) => store.bucket(bucket).recent?.entry(key));
        expect(recent).toEqual(places.map(({ bucket, key }, at) => recent[at] && catalogue.entry(bucket, key)));
        const looked = await lookUpAll();
        expect(looked).toEqual(places.map(({ bucket, key }) => catalogue.entry(bucket, key)));
        for (const [index, entry] of looked.entries()) {
          if (entry.state !== "object") continue;
          const reader = await store.bucket(places[index]!.bucket).open(entry.info);
          const body = BODIES.find(({ hashes }) => hashes.sha256 === entry.info.hashes.sha256);
          expect(await reader?.read(0, entry.info.size - 1)).toEqual(
            body?.content.kind === "buffer" ? body.content.buffer : undefined,
          );
          reader?.close();
        }
      }
    }),
    { numRuns: 25 },
  );
  database.close();
});

test("createEntryCache() caches neither damaged objects nor entries that may expire, and a quarantine empties it", () => {
  const cache = createEntryCache();
  const [key, other] = KEYS as [(typeof KEYS)[0], (typeof KEYS)[0]];
  const info = infoOf(key, BODIES[0]!);
  cache.set("1/one", key, { state: "object", info: { ...info, isDamaged: true }, epoch: 0, isStale: false });
  cache.set("1/one", other, { state: "tombstone", deletedAt: 1, reason: "", expiresAt: 2, epoch: 0 });
  expect([cache.get("1/one", key), cache.get("1/one", other)]).toEqual([undefined, undefined]);
  cache.set("1/one", key, { state: "object", info, epoch: 0, isStale: false });
  expect(cache.get("1/one", key)?.info).toBe(info);
  const request = { sha256: "0".repeat(64), place: undefined, inode: undefined, cacheBucketPrefixes: [] };
  cache.invalidate([{ name: "quarantine", request }]);
  expect(cache.get("1/one", key)).toBeUndefined();
});

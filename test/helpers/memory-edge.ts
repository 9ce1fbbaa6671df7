// The disk of one node in memory, for a tiered store: it outlives the node, as a disk does. Without durability or
// bounds.
import type { Key } from "../../src/core/object.ts";
import type { PendingCertainty } from "../../src/serve/bucket/contract/driver.ts";
import type { FsBucket } from "../../src/serve/bucket/fs/bucket.ts";
import type { FsStore } from "../../src/serve/bucket/fs/fs-store.ts";
import { createMemoryStore, type MemoryBucket } from "./memory-store.ts";

export type MemoryEdge = Pick<FsStore, "bucket" | "listBuckets" | "probe">;

export function createMemoryEdge(): MemoryEdge {
  const store = createMemoryStore();
  const buckets = new Map<string, FsBucket>();
  return {
    listBuckets: () => [...buckets.keys()].sort(),
    probe: store.probe,
    bucket(id) {
      const known = buckets.get(id) ?? edgeBucket(store.bucket(id));
      buckets.set(id, known);
      return known;
    },
  };
}

function edgeBucket(driver: MemoryBucket): FsBucket {
  const pending = new Map<Key, { readonly sha256: string; readonly certainty: PendingCertainty }>();

  async function lookup(key: Key) {
    const entry = await driver.lookup(key);
    const waiting = pending.get(key);
    if (entry.state !== "object" || waiting?.sha256 !== entry.info.hashes.sha256) return entry;
    return { ...entry, certainty: waiting.certainty };
  }

  async function has(key: Key, sha256: string): Promise<boolean> {
    const entry = await driver.lookup(key);
    return entry.state === "object" && entry.info.hashes.sha256 === sha256;
  }

  return {
    ...driver,
    lookup,
    async put(info, body, condition, certainty) {
      const result = await driver.put(info, body, condition);
      if (result === "stored" && certainty === undefined) pending.delete(info.key);
      else if (result === "stored" && certainty !== undefined)
        pending.set(info.key, { sha256: info.hashes.sha256, certainty });
      return result;
    },
    async confirm(key, sha256) {
      if (!(await has(key, sha256))) return false;
      pending.delete(key);
      return true;
    },
    async forget(key, sha256, evenPending = false) {
      if (!(await has(key, sha256)) || (pending.get(key)?.sha256 === sha256 && !evenPending)) return false;
      driver.drop(key);
      pending.delete(key);
      return true;
    },
    async rows(state, after) {
      const { objects } = await driver.list({ prefix: "", after: after as Key, limit: 1_000 });
      return objects
        .filter(({ key, hashes }) => (pending.get(key)?.sha256 === hashes.sha256) === (state === "pending"))
        .map(({ key, size, storedAt, hashes }) => ({ key, size, storedAt, ...hashes }));
    },
  };
}

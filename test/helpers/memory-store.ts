// A store in memory. It makes the same promises as the embedded store except durability, and has no bounds.
import { readFile, unlink } from "node:fs/promises";
import type { Key, ObjectInfo } from "../../src/core/object.ts";
import type { WholeBody } from "../../src/serve/body/spool/spool.ts";
import {
  type CurrentEntry,
  decidePut,
  epochAfterPut,
  hasExpired,
  holdsVersion,
} from "../../src/serve/bucket/contract/conditions.ts";
import type { BucketDriver, Entry, ObjectReader, PutCondition, Store } from "../../src/serve/bucket/contract/driver.ts";

type StoredEntry =
  | (Extract<Entry, { state: "object" }> & { readonly bytes: Buffer })
  | Extract<Entry, { state: "tombstone" }>
  | Extract<Entry, { state: "absent" }>;

const UNTOUCHED: StoredEntry = { state: "absent", epoch: 0 };

export interface MemoryStore extends Store {
  bucket(id: string): MemoryBucket;
}

/** `now`: Unix milliseconds. */
export function createMemoryStore(now: () => number = Date.now): MemoryStore {
  const buckets = new Map<string, MemoryBucket>();
  return {
    bucket(id) {
      const known = buckets.get(id) ?? createMemoryBucket(now);
      buckets.set(id, known);
      return known;
    },
    async probe() {},
    async close() {},
  };
}

export interface MemoryBucket extends BucketDriver {
  /** Drops the object of the key, and keeps the epoch. */
  drop(key: Key): void;
}

function createMemoryBucket(now: () => number): MemoryBucket {
  const entries = new Map<Key, StoredEntry>();

  function entryOf(key: Key): StoredEntry {
    const entry = entries.get(key) ?? UNTOUCHED;
    return entry.state === "tombstone" && hasExpired(entry, now()) ? { state: "absent", epoch: entry.epoch } : entry;
  }

  function store(info: ObjectInfo, bytes: Buffer, condition: PutCondition) {
    const current = currentOf(entryOf(info.key));
    const result = decidePut(current, condition);
    if (result === "stored") {
      entries.set(info.key, {
        state: "object",
        info,
        epoch: epochAfterPut(current, condition),
        isStale: false,
        bytes,
      });
    }
    return result;
  }

  return {
    drop: (key) => void entries.set(key, { state: "absent", epoch: entryOf(key).epoch }),
    async lookup(key) {
      const entry = entryOf(key);
      if (entry.state !== "object") return entry;
      return { state: "object", info: entry.info, epoch: entry.epoch, isStale: entry.isStale };
    },
    async open(info) {
      const entry = entryOf(info.key);
      if (entry.state !== "object" || entry.info.hashes.sha256 !== info.hashes.sha256) return undefined;
      return readerOf(entry.bytes);
    },
    async put(info, body, condition) {
      const early = decidePut(currentOf(entryOf(info.key)), condition);
      return early === "stored" ? store(info, await bytesOf(body), condition) : early;
    },
    async copy(from, to, condition) {
      const source = entryOf(from);
      if (source.state !== "object" || source.info.hashes.sha256 !== to.hashes.sha256) return undefined;
      return store(to, source.bytes, condition);
    },
    async delete(key, tombstone) {
      const entry = entryOf(key);
      entries.set(key, { state: "tombstone", ...tombstone, epoch: entry.epoch + 1 });
      return entry.state === "object";
    },
    async undelete(key) {
      const entry = entryOf(key);
      if (entry.state !== "tombstone") return false;
      entries.set(key, { state: "absent", epoch: entry.epoch });
      return true;
    },
    async renew(key, renewal) {
      const entry = entryOf(key);
      if (entry.state !== "object" || !holdsVersion(currentOf(entry), renewal)) return false;
      const { originEtag, originLastModified, validated } = renewal;
      const provenance = { ...entry.info.provenance, originEtag, originLastModified, validated };
      const isStale = entry.isStale && renewal.staysStale === true;
      entries.set(key, { ...entry, info: { ...entry.info, provenance }, isStale });
      return true;
    },
    async purge(key, { hard, only }) {
      const entry = entryOf(key);
      if (only !== undefined && !holdsVersion(currentOf(entry), only)) return false;
      const epoch = entry.epoch + 1;
      const isMirrored = entry.state === "object" && entry.info.provenance.via === "mirror";
      if (isMirrored) entries.set(key, hard ? { state: "absent", epoch } : { ...entry, epoch, isStale: true });
      else entries.set(key, { ...entry, epoch });
      return isMirrored;
    },
    async findBySha1(sha1) {
      for (const entry of entries.values())
        if (entry.state === "object" && entry.info.hashes.sha1 === sha1) return entry.info;
      return undefined;
    },
    async hasTwin({ key, hashes }) {
      const others = [...entries.values()].flatMap((each) => (each.state === "object" ? [each.info] : []));
      return others.some((other) => other.key !== key && other.hashes.sha256 === hashes.sha256);
    },
    async list({ prefix, after, limit }) {
      const objects = [...entries.values()]
        .flatMap((entry) => (entry.state === "object" ? [entry.info] : []))
        .filter(({ key }) => key.startsWith(prefix) && (after === undefined || compareUtf8(key, after) > 0))
        .sort((a, b) => compareUtf8(a.key, b.key));
      const page = objects.slice(0, limit);
      return { objects: page, next: objects.length > limit ? page.at(-1)?.key : undefined };
    },
    async usage() {
      let objects = 0;
      let bytes = 0;
      for (const entry of entries.values()) {
        if (entry.state !== "object") continue;
        objects += 1;
        bytes += entry.info.size;
      }
      return { objects, bytes };
    },
    queryKeys: async () =>
      [...entries.values()].filter((entry) => entry.state === "object" && entry.info.key.includes("?")).length,
  };
}

function currentOf(entry: StoredEntry) {
  const info = entry.state === "object" ? entry.info : undefined;
  return {
    state: entry.state,
    epoch: entry.epoch,
    sha256: info?.hashes.sha256,
    via: info?.provenance.via,
  } satisfies CurrentEntry & { readonly via: unknown };
}

/** Removes the body's file after reading it, because the embedded store takes it away as well. */
async function bytesOf({ content }: WholeBody): Promise<Buffer> {
  if (content.kind === "buffer") return content.buffer;
  const bytes = await readFile(content.path);
  await unlink(content.path);
  return bytes;
}

function readerOf(bytes: Buffer): ObjectReader {
  return { read: async (start, end) => bytes.subarray(start, end + 1), close() {} };
}

function compareUtf8(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

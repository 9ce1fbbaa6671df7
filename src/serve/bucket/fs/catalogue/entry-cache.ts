// Caches recently read entries of the catalogue, so that repeated disk hits need only one query. It is never stale: one
// process owns the catalogue, one thread changes it, and each change invalidates here before it is acknowledged.
import { LRUCache } from "lru-cache";
import type { Key } from "../../../../core/object.ts";
import type { Entry } from "../../contract/driver.ts";
import type { Operation } from "./write-operations.ts";

type ObjectEntry = Extract<Entry, { readonly state: "object" }>;

export interface EntryCache {
  /** The entry as it was read. No acknowledged operation has changed it since. */
  get(bucket: string, key: Key): ObjectEntry | undefined;
  /** Must be called in the turn that read the entry. Caches undamaged objects only, because other states may expire. */
  set(bucket: string, key: Key, entry: Entry): void;
  /** Removes entries that these operations may have changed, even if the operations failed. */
  invalidate(operations: readonly Operation[]): void;
}

/** About 700 bytes each. As many as the blobs that are kept open (blob-reader.ts). */
const MAX_ENTRIES = 4_096;

/** Starts empty. At most 4,096 entries. */
export function createEntryCache(): EntryCache {
  const entries = new LRUCache<string, ObjectEntry>({ max: MAX_ENTRIES });
  const drop = (bucket: string, key: Key) => void entries.delete(nameOf(bucket, key));

  function invalidate({ name, request }: Operation): void {
    // A put may also add digests to equal bytes under other keys. Their cached descriptions stay true without them.
    if (name === "put") drop(request.bucket, request.info.key);
    else if (name === "copy") drop(request.bucket, request.to.key);
    // It names a blob, and any entry may use that.
    else if (name === "quarantine") entries.clear();
    // Operations without a key change no entry that holds an object.
    else if ("key" in request) drop(request.bucket, request.key);
  }

  return {
    get: (bucket, key) => entries.get(nameOf(bucket, key)),
    set(bucket, key, entry) {
      if (entry.state === "object" && entry.info.isDamaged !== true) entries.set(nameOf(bucket, key), entry);
    },
    invalidate(operations) {
      for (const operation of operations) invalidate(operation);
    },
  };
}

/** Ids of buckets contain no line feed. */
function nameOf(bucket: string, key: Key): string {
  return `${bucket}\n${key}`;
}

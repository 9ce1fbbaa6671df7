// Objects that were looked up a moment ago, so that a hit on the disk asks the catalogue once and not each time. One process
// owns the catalogue and one thread changes it: whatever that was asked to do is told here before it is acknowledged.
import { LRUCache } from "lru-cache";
import type { Key } from "../../../core/object.ts";
import type { Entry } from "../../contract/driver.ts";
import type { Operation } from "../writer/write-operations.ts";

export interface EntryCache {
  /** As the catalogue had it, and no acknowledged operation has changed it since. */
  get(bucket: string, key: Key): ObjectEntry | undefined;
  /** Called in the turn in which the entry was read. Only sound objects are kept: other states may end by the clock. */
  set(bucket: string, key: Key, entry: Entry): void;
  /** Lets go of what these operations may have changed, whether they succeeded or not. */
  invalidate(operations: readonly Operation[]): void;
}

type ObjectEntry = Extract<Entry, { readonly state: "object" }>;

/** Some 700 bytes each; as many as blobs are kept open. */
const MAX_ENTRIES = 4_096;

/** None at first. */
export function createEntryCache(): EntryCache {
  const entries = new LRUCache<string, ObjectEntry>({ max: MAX_ENTRIES });
  const drop = (bucket: string, key: Key) => void entries.delete(nameOf(bucket, key));

  function invalidate({ name, request }: Operation): void {
    switch (name) {
      // A put may also teach the digests of equal bytes under other keys; their descriptions stay true without.
      case "put":
        drop(request.bucket, request.info.key);
        break;
      case "copy":
        drop(request.bucket, request.to.key);
        break;
      case "delete":
      case "undelete":
      case "renew":
      case "purge":
      case "forget":
        drop(request.bucket, request.key);
        break;
      case "move":
        drop(request.from, request.key);
        drop(request.to, request.key);
        break;
      // Names a blob, whoever has it.
      case "quarantine":
        entries.clear();
        break;
      // These change no entry of an object.
      case "spend":
      case "pruneSpent":
      case "probe":
      case "sweep":
      case "forgetTombstones":
      case "removeOrphans":
      case "compactPack":
      case "removeEmptyPacks":
        break;
      default:
        name satisfies never;
    }
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

/** The ids of buckets have no line feed. */
function nameOf(bucket: string, key: Key): string {
  return `${bucket}\n${key}`;
}

// A store that lives in memory, for tests: the same promises as the embedded one except that nothing outlives it.
// Not bounded; the servers use fs/.
import { readFile, unlink } from "node:fs/promises";
import type { WholeBody } from "../body/spool/spool.ts";
import type { Key, ObjectInfo } from "../core/object.ts";
import { decidePut, epochAfterPut, hasExpired, isStill, type Occupant } from "./contract/conditions.ts";
import type { BucketDriver, Entry, ObjectReader, PutCondition, Store } from "./contract/driver.ts";

type Slot =
  | (Extract<Entry, { state: "object" }> & { readonly bytes: Buffer })
  | Extract<Entry, { state: "tombstone" }>
  | Extract<Entry, { state: "absent" }>;

const UNTOUCHED: Slot = { state: "absent", epoch: 0 };

/** `now`: Unix milliseconds. */
export function createMemoryStore(now: () => number = Date.now): Store {
  const buckets = new Map<string, BucketDriver>();
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

function createMemoryBucket(now: () => number): BucketDriver {
  const slots = new Map<Key, Slot>();

  function slotOf(key: Key): Slot {
    const slot = slots.get(key) ?? UNTOUCHED;
    return slot.state === "tombstone" && hasExpired(slot, now()) ? { state: "absent", epoch: slot.epoch } : slot;
  }

  function store(info: ObjectInfo, bytes: Buffer, condition: PutCondition) {
    const occupant = occupantOf(slotOf(info.key));
    const result = decidePut(occupant, condition);
    if (result === "stored") {
      slots.set(info.key, { state: "object", info, epoch: epochAfterPut(occupant, condition), isStale: false, bytes });
    }
    return result;
  }

  return {
    async lookup(key) {
      const slot = slotOf(key);
      if (slot.state !== "object") return slot;
      return { state: "object", info: slot.info, epoch: slot.epoch, isStale: slot.isStale };
    },
    async open(info) {
      const slot = slotOf(info.key);
      if (slot.state !== "object" || slot.info.hashes.sha256 !== info.hashes.sha256) return undefined;
      return readerOf(slot.bytes);
    },
    async put(info, body, condition) {
      const early = decidePut(occupantOf(slotOf(info.key)), condition);
      return early === "stored" ? store(info, await bytesOf(body), condition) : early;
    },
    async copy(from, to, condition) {
      const source = slotOf(from);
      if (source.state !== "object" || source.info.hashes.sha256 !== to.hashes.sha256) return undefined;
      return store(to, source.bytes, condition);
    },
    async delete(key, tombstone) {
      const slot = slotOf(key);
      slots.set(key, { state: "tombstone", ...tombstone, epoch: slot.epoch + 1 });
      return slot.state === "object";
    },
    async undelete(key) {
      const slot = slotOf(key);
      if (slot.state !== "tombstone") return false;
      slots.set(key, { state: "absent", epoch: slot.epoch });
      return true;
    },
    async renew(key, renewal) {
      const slot = slotOf(key);
      if (slot.state !== "object" || !isStill(occupantOf(slot), renewal)) return false;
      const { originEtag, originLastModified, validated } = renewal;
      const provenance = { ...slot.info.provenance, originEtag, originLastModified, validated };
      const isStale = slot.isStale && renewal.staysStale === true;
      slots.set(key, { ...slot, info: { ...slot.info, provenance }, isStale });
      return true;
    },
    async purge(key, { hard, only }) {
      const slot = slotOf(key);
      if (only !== undefined && !isStill(occupantOf(slot), only)) return false;
      const epoch = slot.epoch + 1;
      const isMirrored = slot.state === "object" && slot.info.provenance.via === "mirror";
      if (isMirrored) slots.set(key, hard ? { state: "absent", epoch } : { ...slot, epoch, isStale: true });
      else slots.set(key, { ...slot, epoch });
      return isMirrored;
    },
    async findBySha1(sha1) {
      for (const slot of slots.values())
        if (slot.state === "object" && slot.info.hashes.sha1 === sha1) return slot.info;
      return undefined;
    },
    async list({ prefix, after, limit }) {
      const objects = [...slots.values()]
        .flatMap((slot) => (slot.state === "object" ? [slot.info] : []))
        .filter(({ key }) => key.startsWith(prefix) && (after === undefined || compareUtf8(key, after) > 0))
        .sort((a, b) => compareUtf8(a.key, b.key));
      const page = objects.slice(0, limit);
      return { objects: page, next: objects.length > limit ? page.at(-1)?.key : undefined };
    },
    async usage() {
      let objects = 0;
      let bytes = 0;
      for (const slot of slots.values()) {
        if (slot.state !== "object") continue;
        objects += 1;
        bytes += slot.info.size;
      }
      return { objects, bytes };
    },
  };
}

function occupantOf(slot: Slot) {
  const info = slot.state === "object" ? slot.info : undefined;
  return {
    state: slot.state,
    epoch: slot.epoch,
    sha256: info?.hashes.sha256,
    via: info?.provenance.via,
  } satisfies Occupant & { readonly via: unknown };
}

/** Takes a file away, as the embedded store does. */
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

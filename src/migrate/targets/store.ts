// A store of this process as the target of a migration. Every put is a conditional create, so that a copy never
// replaces an upload, a mirrored image or a tombstone by accident.
import { type Bucket, readWhole } from "../../bucket/contract/bucket.ts";
import { HuiyuanError } from "../../core/errors.ts";
import { etagOf, type ObjectInfo, toKey } from "../../core/object.ts";
import type { PutOutcome, PutRequest, Replacement, Target } from "../target.ts";

/** As UploadTarget: `put` also notifies the caches above the bucket. */
export interface StoreTarget extends Pick<Bucket, "put"> {
  readonly bucket: Pick<Bucket, "lookup" | "open">;
}

/** close() leaves the store open: its owner closes it. */
export function createStoreTarget({ bucket, put }: StoreTarget): Target {
  async function lookup(fileid: string) {
    const entry = await bucket.lookup(toKey(fileid));
    if (entry.state === "absent" && entry.failure !== undefined) throw entry.failure;
    return entry;
  }

  /** Undefined: no object is there, so a create may succeed. */
  async function putOver({ info, body, replace }: PutRequest): Promise<PutOutcome | undefined> {
    const entry = await lookup(info.key);
    if (entry.state !== "object") return undefined;
    const there = entry.info;
    if (isSame(there, info)) return "same";
    if (!mayReplace(there, info, replace)) return "differs";
    const result = await put(info, body, { when: "etag", etag: etagOf(there.hashes) });
    if (result === "stored" || result === "deleted") return result;
    throw new HuiyuanError("overloaded", `Cannot replace "${info.key}": it changed at the same time`);
  }

  return {
    canReplace: true,
    isNear: true,
    async look(fileid) {
      const entry = await lookup(fileid);
      if (entry.state === "tombstone") return { state: "deleted" };
      if (entry.state === "absent") return { state: "absent" };
      const { size, hashes, provenance } = entry.info;
      const { originEtag: etag, originLastModified: lastModified } = provenance;
      const validators = etag === undefined && lastModified === undefined ? undefined : { etag, lastModified };
      return { state: "object", size, md5: hashes.md5, sha256: hashes.sha256, validators };
    },
    async put(request) {
      const { info, body, replace } = request;
      // A refused put may have consumed the body, so an object that may be replaced is looked up first.
      const outcome = replace === "none" ? undefined : await putOver(request);
      if (outcome !== undefined) return outcome;
      const result = await put(info, body, { when: "absent" });
      if (result === "stored" || result === "deleted") return result;
      const entry = await lookup(info.key);
      if (entry.state === "object") return isSame(entry.info, info) ? "same" : "differs";
      throw new HuiyuanError("overloaded", `Cannot store "${info.key}": it changed at the same time`);
    },
    async read(fileid, take) {
      const entry = await lookup(fileid);
      const reader = entry.state === "object" ? await bucket.open(entry.info) : undefined;
      if (entry.state !== "object" || reader === undefined) return false;
      try {
        await readWhole(reader, entry.info.size, take);
        return true;
      } finally {
        reader.close();
      }
    },
    close: async () => undefined,
  };
}

/** Damaged bytes are not the same, so that a second copy mends them. */
function isSame(there: ObjectInfo, other: ObjectInfo): boolean {
  return there.isDamaged !== true && there.hashes.sha256 === other.hashes.sha256;
}

function mayReplace(there: ObjectInfo, info: ObjectInfo, replace: Replacement): boolean {
  if (replace === "migrated") return there.provenance.via === "migration";
  return replace === "always" || info.modifiedAt > there.modifiedAt;
}

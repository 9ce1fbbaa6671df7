// A store of this process as the target of a migration. Every put is a conditional create, so that a copy never
// replaces an upload, a mirrored image or a tombstone by accident.

import { HuiyuanError } from "../../../core/errors.ts";
import { etagOf, type ObjectInfo, toKey } from "../../../core/object.ts";
import { type Bucket, digestOf } from "../../../serve/bucket/contract/bucket.ts";
import type { Replacement } from "../contract.ts";
import { type PutOutcome, stateOf, type Target } from "../target.ts";

/** As UploadTarget: `put` also notifies the caches above the bucket. */
export interface StoreTarget extends Pick<Bucket, "put"> {
  readonly bucket: Pick<Bucket, "lookup" | "open">;
}

export function createStoreTarget({ bucket, put }: StoreTarget): Target {
  async function lookup(fileid: string) {
    const entry = await bucket.lookup(toKey(fileid));
    if (entry.state === "absent" && entry.failure !== undefined) throw entry.failure;
    return entry;
  }

  async function find(fileid: string): Promise<ObjectInfo | undefined> {
    const entry = await lookup(fileid);
    return entry.state === "object" ? entry.info : undefined;
  }

  return {
    isNear: true,
    async look(fileid) {
      const entry = await lookup(fileid);
      if (entry.state !== "object") return { state: entry.state === "tombstone" ? "deleted" : "absent" };
      return stateOf({ ...entry.info, ...entry.info.hashes });
    },
    async put({ info, body, replace }) {
      // An object that may be replaced is looked up first: its entity tag is the condition of the put.
      const before = replace === "none" ? undefined : await find(info.key);
      const settled = before && outcomeOver(before, info, replace);
      if (settled !== undefined) return settled;
      const etag = before && etagOf(before.hashes);
      const result = await put(info, body, etag === undefined ? { when: "absent" } : { when: "etag", etag });
      if (result === "stored" || result === "deleted") return result;
      const there = before === undefined ? await find(info.key) : undefined;
      const outcome = there && outcomeOver(there, info, "none");
      if (outcome !== undefined) return outcome;
      throw new HuiyuanError("overloaded", `Cannot store "${info.key}": it changed at the same time`);
    },
    async readSha256(fileid) {
      const info = await find(fileid);
      return info && digestOf(await bucket.open(info), info.size, "sha256");
    },
  };
}

/** Undefined: it may be replaced. Damaged bytes are not the same, so that a second copy mends them. */
function outcomeOver(there: ObjectInfo, info: ObjectInfo, replace: Replacement): PutOutcome | undefined {
  if (there.isDamaged !== true && there.hashes.sha256 === info.hashes.sha256) return "same";
  const mayReplace = {
    none: false,
    migrated: there.provenance.via === "migration",
    newer: info.modifiedAt > there.modifiedAt,
    always: true,
  };
  return mayReplace[replace] ? undefined : "differs";
}

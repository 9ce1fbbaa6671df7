// Objects that another tool put into the remote store: they have no description of ours, so each is fetched once, proven to
// be an image as a fill is, and described. The object itself is left as it is.
import { createGate } from "../../../body/gate/gate.ts";
import type { WholeBody } from "../../../body/spool/spool.ts";
import type { SpoolPool } from "../../../body/spool/spool-pool.ts";
import { asHuiyuanError, HuiyuanError } from "../../../core/errors.ts";
import type { Key, ObjectInfo } from "../../../core/object.ts";
import { describeObject } from "../../contract/bucket.ts";
import type { RemoteBucket, RemoteEntry } from "../../remote/remote.ts";

export type ForeignEntry = Extract<RemoteEntry, { state: "foreign" }>;

export interface ForeignOptions {
  readonly remote: RemoteBucket;
  readonly spools: SpoolPool;
  /** Takes the body and its description; what it does not take is dropped. */
  readonly storeCopy: (info: ObjectInfo, body: WholeBody) => Promise<void>;
}

/**
 * Its description, as of an upload: it is never refreshed nor purged. `no-image`: it is no whole one. Undefined: it is gone.
 * Throws store_failed, store_full.
 */
export async function describeForeign(
  key: Key,
  { version, modifiedAt, size }: ForeignEntry,
  { remote, spools, storeCopy }: ForeignOptions,
): Promise<ObjectInfo | "no-image" | undefined> {
  const body = await remote.get(key, version);
  if (body === undefined) return undefined;
  const gate = createGate();
  const spool = spools.open();
  try {
    for await (const chunk of body) {
      gate.push(chunk);
      if (gate.head === "foreign") return "no-image";
      const hasRoom = spool.write(chunk);
      // There may be no end of them.
      if (spool.received > size) break;
      if (!hasRoom) await spool.drained();
    }
    if (spool.received !== size) {
      throw new HuiyuanError("store_failed", `Cannot read "${key}": S3 gave ${spool.received} bytes of ${size}`);
    }
    const verdict = gate.verdict({ isFramingWhole: true, framing: "length", isHashRight: true });
    if (verdict.kind !== "whole") return "no-image";
    const whole = await spool.finish();
    const provenance = {
      via: "upload",
      originUrl: undefined,
      originEtag: undefined,
      originLastModified: undefined,
      fetchedAt: modifiedAt,
      validated: undefined,
    } as const;
    const info = describeObject({ key, body: whole, image: verdict.image, provenance, now: modifiedAt });
    await storeCopy(info, whole);
    return info;
  } catch (error) {
    spool.fail(asHuiyuanError(error));
    throw error;
  } finally {
    spool.release();
  }
}

/** Whether the copy that was described is still what lies there. `version` is the MD5 for what was not put in parts. */
export function isSameForeign(info: ObjectInfo, { version, size, modifiedAt }: ForeignEntry): boolean {
  if (info.size !== size) return false;
  const md5 = /^"?([0-9a-f]{32})"?$/i.exec(version)?.[1]?.toLowerCase();
  return md5 === undefined ? info.modifiedAt === modifiedAt : md5 === info.hashes.md5;
}

// Describes objects that another tool put into the remote store. They have no metadata of ours, so each is downloaded
// once and checked to be a whole image, as a fill is. The object itself stays unchanged.

import { asHuiyuanError, HuiyuanError } from "../../../../core/errors.ts";
import type { Key, ObjectInfo } from "../../../../core/object.ts";
import { createGate } from "../../../body/gate/gate.ts";
import type { WholeBody } from "../../../body/spool/spool.ts";
import { describeObject, uploadedAt } from "../../contract/bucket.ts";
import type { RemoteEntry } from "../../remote/remote.ts";
import type { TierContext } from "../context.ts";

export type ForeignEntry = Extract<RemoteEntry, { state: "foreign" }>;

export interface ForeignOptions extends Pick<TierContext, "remote" | "spools"> {
  /** Called with the body and its description; the body is dropped afterwards. */
  readonly storeCopy: (info: ObjectInfo, body: WholeBody) => Promise<void>;
}

/**
 * Describes the object as an upload, so it is never revalidated or purged. `no-image`: it is no whole image. Undefined:
 * it is gone. Throws store_failed, store_full.
 */
export async function describeForeign(
  key: Key,
  { version, modifiedAt, size }: ForeignEntry,
  { remote, spools, storeCopy }: ForeignOptions,
): Promise<ObjectInfo | "no-image" | undefined> {
  const body = await remote.get(key, version);
  if (body === undefined) return undefined;
  const gate = createGate();
  const spool = spools.open({ failsWithDisk: true });
  try {
    for await (const chunk of body) {
      gate.push(chunk);
      if (gate.head === "foreign") return "no-image";
      const hasRoom = spool.write(chunk);
      // The body may have no end.
      if (spool.received > size) break;
      if (!hasRoom) await spool.drained();
    }
    if (spool.received !== size) {
      const found = `the remote store sent ${spool.received} bytes of ${size}`;
      throw new HuiyuanError("store_failed", `Cannot read "${key}": ${found}`);
    }
    const verdict = gate.verdict({ isFramingWhole: true, framing: "length", isHashRight: true });
    if (verdict.kind !== "whole") return "no-image";
    const whole = await spool.finish();
    const provenance = uploadedAt(modifiedAt);
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

/** Whether the description still fits the remote object. `version` is an MD5 unless the object was put in parts. */
export function isSameForeign(info: ObjectInfo, { version, size, modifiedAt }: ForeignEntry): boolean {
  if (info.size !== size) return false;
  const md5 = /^"?([0-9a-f]{32})"?$/i.exec(version)?.[1]?.toLowerCase();
  return md5 === undefined ? info.modifiedAt === modifiedAt : md5 === info.hashes.md5;
}

// Storing what a mirror has fetched: over nothing, or over an earlier version, so that the last one of which the origin spoke is
// there in the end, in whatever order the store takes them.
import type { WholeBody } from "../../body/spool/spool.ts";
import type { PutResult } from "../../bucket/contract/driver.ts";
import { etagOf, type ObjectInfo } from "../../core/object.ts";
import type { Stored } from "../stored/stored.ts";
import { isLater, isVersion, type Version } from "./versions.ts";

export interface Fetched {
  readonly info: ObjectInfo;
  /** The key's epoch when the fill began. */
  readonly epoch: number;
  /** What was stored when it was asked for; whatever the clock says, that may be replaced. */
  readonly replaces?: Version | undefined;
}

/** As Stored.put(). `exists`: another one is there, of which the origin spoke later, or which is no mirror's. */
export async function putFetched(
  stored: Stored,
  body: WholeBody,
  { info, epoch, replaces }: Fetched,
): Promise<PutResult> {
  if (replaces === undefined) {
    const result = await stored.put(info, body, { when: "absent", epoch });
    if (result !== "exists" || info.isSuspect) return result;
  }
  const entry = await stored.bucket.lookup(info.key);
  if (entry.state !== "object") return stored.put(info, body, { when: "absent", epoch });
  const there = entry.info;
  const mayReplace = isLater(info, there) || (replaces !== undefined && isVersion(there, replaces));
  if (mayReplace && there.hashes.sha256 !== info.hashes.sha256)
    return stored.put(info, body, { when: "etag", etag: etagOf(there.hashes), epoch });
  await stored.refused(info);
  return "exists";
}

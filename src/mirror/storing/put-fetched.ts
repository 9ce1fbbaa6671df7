// Stores a fetched image if the key is absent, or over an earlier version. In the end the version that the origin sent
// or confirmed last is stored, whatever the order of the writes. It does not retry.
import type { WholeBody } from "../../body/spool/spool.ts";
import type { PutResult } from "../../bucket/contract/driver.ts";
import { etagOf, type ObjectInfo } from "../../core/object.ts";
import type { Stored } from "../stored/stored.ts";
import { isLater, isVersion, type Version } from "./versions.ts";

export interface Fetched {
  readonly info: ObjectInfo;
  /** The key's epoch when the fill began. */
  readonly epoch: number;
  /** The version that was stored when the fetch began; it may be replaced, whatever the clock says. */
  readonly replaces?: Version | undefined;
}

/**
 * As Stored.put(). `exists`: a version that the origin sent or confirmed later is stored, or one that no mirror
 * fetched.
 */
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
  await stored.reportRefused(info);
  return "exists";
}

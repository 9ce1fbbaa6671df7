// May this put happen? The rule that every driver applies inside its own atomic step. Pure.
import { etagOf } from "../object.ts";
import type { Entry, PutCondition, PutResult } from "./driver.ts";

/** What a put meets: the key's state and epoch, and the SHA-256 (lower-case hex) of the object that is there. */
export interface Occupant {
  readonly state: Entry["state"];
  readonly epoch: number;
  readonly sha256: string | undefined;
}

/** `stored`: go ahead. Anything else is the answer to the caller, and nothing changes. */
export function decidePut(occupant: Occupant, condition: PutCondition): PutResult {
  if (condition.when === "always") return "stored";
  if (occupant.state === "tombstone") return "deleted";
  if (condition.when === "absent" ? occupant.state === "object" : !hasEtag(occupant, condition.etag)) return "exists";
  if (condition.epoch !== undefined && condition.epoch !== occupant.epoch) return "outdated";
  return "stored";
}

/** The key's epoch after a put that was stored. */
export function epochAfterPut(occupant: Occupant, condition: PutCondition): number {
  return condition.when === "always" ? occupant.epoch + 1 : occupant.epoch;
}

function hasEtag({ sha256 }: Occupant, etag: string): boolean {
  return sha256 !== undefined && etagOf({ sha256, sha1: "", md5: "" }) === etag;
}

// May this change happen? The rules that every driver applies inside its own atomic step. Pure.
import { etagOf } from "../../core/object.ts";
import type { Entry, PutCondition, PutResult, SeenVersion, Tombstone } from "./driver.ts";

/** What a change meets: the key's state and epoch, and the SHA-256 (lower-case hex) of the object that is there. */
export interface Occupant {
  readonly state: Entry["state"];
  readonly epoch: number;
  /** Nothing where no object is; null is how a row of the catalogue says so. */
  readonly sha256: string | null | undefined;
}

/** `stored`: go ahead. Anything else is the answer to the caller, and nothing changes. */
export function decidePut(occupant: Occupant, condition: PutCondition): PutResult {
  if (condition.when === "always") return "stored";
  if (condition.when === "vacant") return occupant.state === "object" ? "exists" : "stored";
  if (occupant.state === "tombstone") return "deleted";
  if (condition.when === "absent" ? occupant.state === "object" : !hasEtag(occupant, condition.etag)) return "exists";
  if (condition.epoch !== undefined && condition.epoch !== occupant.epoch) return "outdated";
  return "stored";
}

/** Whether a put under this condition ends whatever was begun for the key before. */
export function raisesEpoch({ when }: PutCondition): boolean {
  return when === "always" || when === "vacant";
}

/** The key's epoch after a put that was stored. */
export function epochAfterPut(occupant: Occupant, condition: PutCondition): number {
  return raisesEpoch(condition) ? occupant.epoch + 1 : occupant.epoch;
}

/** Whether the mirror's version that was seen is still there. `via`: how what is there came; null or undefined where nothing is. */
export function holdsVersion(
  occupant: Occupant & { readonly via: string | null | undefined },
  { etag, epoch }: SeenVersion,
): boolean {
  return occupant.via === "mirror" && occupant.epoch === epoch && hasEtag(occupant, etag);
}

/** `now`: Unix milliseconds. */
export function hasExpired({ expiresAt }: Pick<Tombstone, "expiresAt">, now: number): boolean {
  return expiresAt !== undefined && expiresAt <= now;
}

function hasEtag({ sha256 }: Occupant, etag: string): boolean {
  return typeof sha256 === "string" && etagOf({ sha256 }) === etag;
}

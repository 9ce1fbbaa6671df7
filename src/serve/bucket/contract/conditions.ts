// Decides whether a change of a key may happen. Every driver applies these rules inside its own atomic step. Pure: no
// I/O.
import { etagOf } from "../../../core/object.ts";
import type { Entry, PutCondition, PutResult, SeenVersion, Tombstone } from "./driver.ts";

/** The current content of a key: its state and epoch, and the SHA-256 (lower-case hex) of its object. */
export interface Occupant {
  readonly state: Entry["state"];
  readonly epoch: number;
  /** Undefined if there is no object; null is the catalogue's spelling of that. */
  readonly sha256: string | null | undefined;
}

/** `stored`: the put may proceed. Any other result is the answer to the caller, and nothing changes. */
export function decidePut(occupant: Occupant, condition: PutCondition): PutResult {
  if (condition.when === "always") return "stored";
  if (condition.when === "vacant") return occupant.state === "object" ? "exists" : "stored";
  if (occupant.state === "tombstone") return "deleted";
  if (condition.when === "absent" ? occupant.state === "object" : !hasEtag(occupant, condition.etag)) return "exists";
  if (condition.epoch !== undefined && condition.epoch !== occupant.epoch) return "outdated";
  return "stored";
}

/** Whether a put under this condition invalidates every fill of the key that began before it. */
export function raisesEpoch({ when }: PutCondition): boolean {
  return when === "always" || when === "vacant";
}

/** The epoch of the key after a put that was stored. */
export function epochAfterPut(occupant: Occupant, condition: PutCondition): number {
  return raisesEpoch(condition) ? occupant.epoch + 1 : occupant.epoch;
}

/**
 * Whether the key still has the mirrored version that was looked up. `via`: the provenance of its object; null or
 * undefined if there is none.
 */
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

// Decides whether a change of a key may happen. Every driver applies these rules inside its own atomic step. Pure: no
// I/O.
import { etagOf } from "../../../core/object.ts";
import type { Entry, PutCondition, PutResult, SeenVersion, Tombstone } from "./driver.ts";

/** The current content of a key: its state and epoch, and the SHA-256 (lower-case hex) of its object. */
export interface CurrentEntry {
  readonly state: Entry["state"];
  readonly epoch: number;
  /** Undefined if there is no object; null is the catalogue's spelling of that. */
  readonly sha256: string | null | undefined;
}

/** `stored`: the put may proceed. Any other result is the answer to the caller, and nothing changes. */
export function decidePut(current: CurrentEntry, condition: PutCondition): PutResult {
  if (condition.when === "always") return "stored";
  if (condition.when === "vacant") return current.state === "object" ? "exists" : "stored";
  if (current.state === "tombstone") return "deleted";
  if (condition.when === "absent" ? current.state === "object" : !hasEtag(current, condition.etag)) return "exists";
  if (condition.epoch !== undefined && condition.epoch !== current.epoch) return "outdated";
  return "stored";
}

/** Whether a put under this condition invalidates every fill of the key that began before it. */
export function raisesEpoch({ when }: PutCondition): boolean {
  return when === "always" || when === "vacant";
}

/** The epoch of the key after a put that was stored. */
export function epochAfterPut(current: CurrentEntry, condition: PutCondition): number {
  return raisesEpoch(condition) ? current.epoch + 1 : current.epoch;
}

/**
 * Whether the key still has the mirrored version that was looked up. `via`: the provenance of its object; null or
 * undefined if there is none.
 */
export function holdsVersion(
  current: CurrentEntry & { readonly via: string | null | undefined },
  { etag, epoch }: SeenVersion,
): boolean {
  return current.via === "mirror" && current.epoch === epoch && hasEtag(current, etag);
}

/** `now`: Unix milliseconds. */
export function hasExpired({ expiresAt }: Pick<Tombstone, "expiresAt">, now: number): boolean {
  return expiresAt !== undefined && expiresAt <= now;
}

function hasEtag({ sha256 }: CurrentEntry, etag: string): boolean {
  return typeof sha256 === "string" && etagOf({ sha256 }) === etag;
}

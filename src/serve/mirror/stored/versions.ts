// Compares versions of an image: the later one is that which its origin sent, or confirmed, later. Pure.
import { type ObjectInfo, validatedAt } from "../../../core/object.ts";

type Described = Pick<ObjectInfo, "hashes" | "provenance">;

/** A version at the time it was looked up. Part of the recovery file's format (recovery-file.ts). */
export interface Version {
  readonly sha256: string;
  /** As validatedAt(). The recovery files of earlier versions have this name. */
  readonly spokenAt: number;
}

export function versionOf(info: Described): Version {
  return { sha256: info.hashes.sha256, spokenAt: validatedAt(info) };
}

/** Whether these are the same bytes, without a confirmation since. */
export function isVersion(info: Described, version: Version): boolean {
  return info.hashes.sha256 === version.sha256 && validatedAt(info) === version.spokenAt;
}

/** Whether a fetched version is later than the stored one. An uploaded or migrated object has no later version. */
export function isLater(fetched: Described, there: Described): boolean {
  return there.provenance.via === "mirror" && validatedAt(there) < validatedAt(fetched);
}

// Which of two versions of an image is the later one: that of which its origin spoke later. Pure.
import type { ObjectInfo } from "../../core/object.ts";

type Described = Pick<ObjectInfo, "hashes" | "provenance">;

/** When the origin was asked for these bytes, or whether they still are its own. Unix milliseconds. */
export function spokenAt({ provenance: { validated, fetchedAt } }: Described): number {
  return validated?.at ?? fetchedAt;
}

/** One version as it was seen. */
export interface Version {
  readonly sha256: string;
  readonly spokenAt: number;
}

export function versionOf(info: Described): Version {
  return { sha256: info.hashes.sha256, spokenAt: spokenAt(info) };
}

/** The same bytes, and nothing has been said of them since. */
export function isVersion(info: Described, version: Version): boolean {
  return info.hashes.sha256 === version.sha256 && spokenAt(info) === version.spokenAt;
}

/** Whether what a mirror has fetched is later than what is there. An upload, or what was moved here, has no later version. */
export function isLater(fetched: Described, there: Described): boolean {
  return there.provenance.via === "mirror" && spokenAt(there) < spokenAt(fetched);
}

/** What was fetched, and the key's epoch then. */
export interface FetchedVersion {
  readonly info: Described;
  readonly epoch: number;
}

/** Whether one was asked for before the other, or before what has ended that. */
export function isEarlier(one: FetchedVersion, other: FetchedVersion): boolean {
  return one.epoch < other.epoch || spokenAt(one.info) < spokenAt(other.info);
}

// What the REST API knows of projects and their buckets: a snapshot made from the settings, replaced as a whole on a reload.
import type { Stored } from "../../mirror/stored/stored.ts";
import type { Site } from "../request/site.ts";
import type { CorsRules } from "../response/cors.ts";

/** One bucket, as its project's API calls see it. */
export interface ManagedBucket {
  readonly name: string;
  readonly stored: Stored;
  /** False: `access: download`. */
  readonly takesUploads: boolean;
  readonly cors: CorsRules;
  /** The host of its public URLs. */
  readonly publicDomain: string;
  /** Its first domain that has a mirror; undefined: the bucket has no history elsewhere. */
  readonly mirrored: Site | undefined;
}

export interface Project {
  readonly appid: string;
  /** False: every call is refused with project_disabled. */
  readonly isEnabled: boolean;
  readonly acceptV1: boolean;
  readonly buckets: ReadonlyMap<string, ManagedBucket>;
  /** What V1 paths mean. */
  readonly firstBucket: ManagedBucket | undefined;
}

export interface Projects {
  find(appid: string): Project | undefined;
  /** Whether a host serves downloads by name: a listed one, or a bucket's default domain. `*` does not count. */
  isDomain(host: string): boolean;
}

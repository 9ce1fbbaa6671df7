// Types of the projects and buckets that the REST API serves: one snapshot of the settings, which a reload replaces as
// a whole. serve/wiring/projects.ts makes them.
import type { Stored } from "../../mirror/stored/stored.ts";
import type { CorsRules, Site } from "../request/site.ts";

/** One bucket with the settings that API calls need. */
export interface ManagedBucket {
  readonly name: string;
  readonly stored: Stored;
  /** False: `access: download`. */
  readonly takesUploads: boolean;
  readonly cors: CorsRules;
  /** The host of its public URLs. */
  readonly publicDomain: string;
  /** Its first domain with a mirror; undefined: no origin has images of this bucket. */
  readonly mirrored: Site | undefined;
}

export interface Project {
  readonly appid: string;
  /** False: every call is refused with project_disabled. */
  readonly isEnabled: boolean;
  readonly acceptV1: boolean;
  readonly buckets: ReadonlyMap<string, ManagedBucket>;
  /** The bucket of V1 paths, which name none. */
  readonly firstBucket: ManagedBucket | undefined;
}

export interface Projects {
  find(appid: string): Project | undefined;
  /** True: the host serves downloads by name, as a listed or a default domain. `*` does not count. */
  isDomain(host: string): boolean;
}

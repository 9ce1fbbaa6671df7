// Builds the table of hosts: which bucket answers a host, and with which mirror source; and merges rules into it. Pure.
import { isMapping } from "./checks/path-nodes.ts";
import { mirrorShape } from "./schema/mirror-schema.ts";
import type {
  BucketSettings,
  MirrorSettings,
  ProjectSettings,
  RuleSettings,
  ServerSettings,
  Settings,
} from "./schema/schema.ts";

/** The bucket and the mirror source of a host. */
export interface Binding {
  readonly project: ProjectSettings;
  readonly bucket: BucketSettings;
  /** Undefined: a miss under this host is never fetched from an origin. */
  readonly mirror: MirrorSettings | undefined;
}

/** Every host of the settings. */
export interface DomainTable {
  /** Keys as normalizeHost() gives them: lower case, no port, no trailing dot. */
  readonly hosts: ReadonlyMap<string, Binding>;
  /** Answers every host that `hosts` lacks. Undefined: such hosts are refused as unknown. */
  readonly star: Binding | undefined;
}

/**
 * The table of all domains. It always has a bucket's default domain, with the mirror of its own entry, else of the
 * bucket's `*` entry, else none.
 */
export function bindDomains(settings: Settings): DomainTable {
  const hosts = new Map<string, Binding>();
  let star: Binding | undefined;
  for (const project of settings.projects) {
    for (const bucket of project.buckets) {
      const ownStar = bucket.domains.find((domain) => domain.host === "*");
      if (ownStar !== undefined) star = { project, bucket, mirror: ownStar.mirror };
      hosts.set(defaultDomain(settings.server, project, bucket), { project, bucket, mirror: ownStar?.mirror });
      for (const { host, mirror } of bucket.domains) {
        // An own entry for the default domain replaces the one above.
        if (host !== "*") hosts.set(host, { project, bucket, mirror });
      }
    }
  }
  return { hosts, star };
}

/** Returns `<bucket>-<appid>.<baseDomain>`. */
function defaultDomain(
  server: Pick<ServerSettings, "baseDomain">,
  project: Pick<ProjectSettings, "appid">,
  bucket: Pick<BucketSettings, "name">,
): string {
  return `${bucket.name}-${project.appid}.${server.baseDomain}`;
}

/** The host of the bucket's public URLs. */
export function publicDomain(
  server: Pick<ServerSettings, "baseDomain">,
  project: Pick<ProjectSettings, "appid">,
  bucket: Pick<BucketSettings, "name" | "domains" | "publicDomain">,
): string {
  const listed = bucket.domains.find(({ host }) => host !== "*");
  return bucket.publicDomain ?? listed?.host ?? defaultDomain(server, project, bucket);
}

/** The mirror source of a rule. Scalars and lists of the rule replace the domain's; mappings are merged key by key. */
export function mergeRule(mirror: MirrorSettings, rule: RuleSettings): MirrorSettings {
  const keys = Object.keys(mirrorShape) as (keyof typeof mirrorShape)[];
  const own = keys.flatMap((key) => {
    const [whole, part] = [mirror[key], rule[key]];
    if (part === undefined) return [];
    return [[key, isMapping(whole) && isMapping(part) ? { ...whole, ...part } : part]];
  });
  return { ...mirror, ...Object.fromEntries(own), rules: [] };
}

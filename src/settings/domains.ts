// Which bucket answers which host, and with which mirror. Pure: settings in, table out.
import type { BucketSettings, MirrorSettings, ProjectSettings, ServerSettings, Settings } from "./schema/schema.ts";

/** What a host stands for. */
export interface Binding {
  readonly project: ProjectSettings;
  readonly bucket: BucketSettings;
  /** Undefined: a miss under this host never goes to an origin. */
  readonly mirror: MirrorSettings | undefined;
}

/** Every host of the settings. */
export interface DomainTable {
  /** Keys as normalizeHost() gives them: lower case, no port, no trailing dot. */
  readonly hosts: ReadonlyMap<string, Binding>;
  /** Answers every host that `hosts` lacks; undefined: such hosts are unknown. */
  readonly star: Binding | undefined;
}

/**
 * The table of all domains. A bucket's default domain is always in it, with the mirror of its own entry, else that of
 * the bucket's `*` entry, else none.
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
        // The bucket's own entry for its default domain comes after the line above and replaces it.
        if (host !== "*") hosts.set(host, { project, bucket, mirror });
      }
    }
  }
  return { hosts, star };
}

/** `<bucket>-<appid>.<baseDomain>` */
export function defaultDomain(
  server: Pick<ServerSettings, "baseDomain">,
  project: Pick<ProjectSettings, "appid">,
  bucket: Pick<BucketSettings, "name">,
): string {
  return `${bucket.name}-${project.appid}.${server.baseDomain}`;
}

/** The host of a bucket's public URLs. */
export function publicDomain(
  server: Pick<ServerSettings, "baseDomain">,
  project: Pick<ProjectSettings, "appid">,
  bucket: Pick<BucketSettings, "name" | "domains" | "publicDomain">,
): string {
  const listed = bucket.domains.find(({ host }) => host !== "*");
  return bucket.publicDomain ?? listed?.host ?? defaultDomain(server, project, bucket);
}

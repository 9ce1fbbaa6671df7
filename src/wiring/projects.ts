// Part of the composition root: makes the REST API's table of projects and buckets from the settings.
import type { Site } from "../http/request/site.ts";
import type { ManagedBucket, Project, Projects } from "../http/rest/project.ts";
import { publicDomain } from "../settings/domains.ts";
import type { Settings } from "../settings/schema/schema.ts";

/** `domains`: every site of the settings, `*` last. Each bucket has at least one, for its default domain. */
export function createProjects({ server, projects }: Settings, domains: readonly Site[]): Projects {
  const hosts = new Set(domains.map(({ domain }) => domain));
  const byAppid = new Map(projects.map((project) => [project.appid, toProject(project, server, domains)]));
  return { find: (appid) => byAppid.get(appid), isDomain: (host) => host !== "*" && hosts.has(host) };
}

function toProject(
  project: Settings["projects"][number],
  server: Settings["server"],
  domains: readonly Site[],
): Project {
  const { appid, enabled: isEnabled, acceptV1Signature: acceptV1 } = project;
  const buckets = project.buckets.flatMap((bucket): ManagedBucket[] => {
    const own = domains.filter(({ stored }) => stored.bucketId === `${appid}/${bucket.name}`);
    const [first] = own;
    if (first === undefined) return [];
    return [
      {
        name: bucket.name,
        stored: first.stored,
        takesUploads: bucket.access === "upload-download",
        cors: bucket.cors,
        publicDomain: publicDomain(server, project, bucket),
        mirrored: own.find(({ source }) => source !== undefined),
      },
    ];
  });
  const byName = new Map(buckets.map((bucket) => [bucket.name, bucket]));
  return { appid, isEnabled, acceptV1, buckets: byName, firstBucket: buckets[0] };
}

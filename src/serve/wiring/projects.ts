// Part of the composition root: the projects of the REST API, and their key pairs.
import { publicDomain } from "../../settings/domains.ts";
import type { ProjectSettings, ServerSettings, Settings } from "../../settings/schema/schema.ts";
import type { BucketSites } from "../http/request/site.ts";
import type { ManagedBucket, Project } from "../http/rest/project.ts";
import type { KeyLookup, SigningKey } from "../sign/token.ts";

/** Finds a key pair of the settings by its SecretId and appid. */
export function keyLookup(settings: Settings): KeyLookup {
  const projects = new Map<string, ReadonlyMap<string, SigningKey>>();
  for (const { appid, keys } of settings.projects) projects.set(appid, new Map(keys.map((key) => [key.secretId, key])));
  return (secretId, appid) => projects.get(appid)?.get(secretId);
}

/** `sites`: the buckets in force; one without a domain is left out. */
export function toProject(project: ProjectSettings, server: ServerSettings, sites: BucketSites): Project {
  const { appid, enabled: isEnabled, acceptV1Signature: acceptV1 } = project;
  const buckets = project.buckets.flatMap((bucket): ManagedBucket[] => {
    const own = sites.get(`${appid}/${bucket.name}`) ?? [];
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

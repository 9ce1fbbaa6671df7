// Finds the bucket, the key pair and the download address for `huiyuan sign`. It makes no token.
import type { Command } from "commander";
import type { PublicPlace } from "../http/response/public-url.ts";
import { defaultDomain, publicDomain } from "../settings/domains.ts";
import { normalizeHost } from "../settings/hosts.ts";
import { loadSettings } from "../settings/load.ts";
import type { BucketSettings, ProjectSettings, ServerSettings } from "../settings/schema/schema.ts";

/** Environment variable of the SecretKey if no settings file is read. */
export const SECRET_KEY_VARIABLE = "HUIYUAN_SECRET_KEY";

/** Options of the command line that select the bucket and the key pair. */
export interface PlaceOptions {
  readonly config?: string;
  readonly appid?: string;
  readonly bucket?: string;
  readonly secretId?: string;
}

/** A bucket, and the key pair that signs for it. */
export interface SignPlace {
  readonly appid: string;
  readonly bucket: string;
  readonly secretId: string;
  readonly secretKey: string;
  /** Undefined without settings. */
  readonly downloads: { readonly place: PublicPlace; readonly host: string } | undefined;
}

interface Candidate {
  readonly project: ProjectSettings;
  readonly bucket: BucketSettings;
}

/**
 * Finds the bucket by the options and the host of the URL to sign. With appid, bucket and SecretID, and without
 * --config, it reads no settings file. Ends the command with a usage error unless exactly one bucket matches.
 */
export async function findSignPlace(
  options: PlaceOptions,
  host: string | undefined,
  command: Command,
): Promise<SignPlace> {
  const { appid, bucket: name, secretId } = options;
  if (options.config === undefined && appid !== undefined && name !== undefined && secretId !== undefined) {
    const secretKey = process.env[SECRET_KEY_VARIABLE] ?? "";
    if (secretKey === "") command.error(`error: the environment variable ${SECRET_KEY_VARIABLE} has no SecretKey`);
    return { appid, bucket: name, secretId, secretKey, downloads: undefined };
  }
  const file = options.config ?? "huiyuan.yaml";
  const { server, projects } = await loadSettings(file, { env: process.env, needs: "keys" });
  const named = candidates(projects, options);
  // A named bucket is not checked against the URL, which may be that of a CDN that the settings do not know.
  const fitting = host === undefined || name !== undefined ? named : servedAt(host, named, server);
  const [only] = fitting;
  if (only === undefined)
    command.error(`error: no bucket in ${file} fits; there are ${list(candidates(projects, {}))}`);
  if (fitting.length > 1) command.error(`error: choose with --appid and --bucket: ${list(fitting)}`);
  const { project, bucket } = only;
  const key = project.keys.find((pair) => pair.enabled && pair.secretId === (secretId ?? pair.secretId));
  if (key === undefined) command.error(`error: project ${project.appid} in ${file} has no such enabled key pair`);
  return {
    appid: project.appid,
    bucket: bucket.name,
    secretId: key.secretId,
    secretKey: key.secretKey,
    downloads: { place: server, host: publicDomain(server, project, bucket) },
  };
}

function candidates(projects: readonly ProjectSettings[], options: PlaceOptions): readonly Candidate[] {
  const { appid, bucket: name } = options;
  return projects
    .filter((project) => appid === undefined || project.appid === appid)
    .flatMap((project) => project.buckets.map((bucket) => ({ project, bucket })))
    .filter(({ bucket }) => name === undefined || bucket.name === name);
}

/** Buckets that serve the host: by default domain or name, and only then by `*`. */
function servedAt(host: string, places: readonly Candidate[], server: ServerSettings): readonly Candidate[] {
  const wanted = normalizeHost(host);
  const isServedAs = (place: Candidate, name: string | undefined) =>
    place.bucket.domains.some((domain) => domain.host === name);
  const exact = places.filter(
    (place) => defaultDomain(server, place.project, place.bucket) === wanted || isServedAs(place, wanted),
  );
  return exact.length > 0 ? exact : places.filter((place) => isServedAs(place, "*"));
}

function list(places: readonly Candidate[]): string {
  return places.map(({ project, bucket }) => `${project.appid}/${bucket.name}`).join(", ") || "none";
}

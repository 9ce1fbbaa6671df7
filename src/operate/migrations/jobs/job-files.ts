// The folder of a server's migration: the request, its config, which holds secrets, and its list of URLs.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { redactTarget } from "../../../serve/sign/redact.ts";
import type { InputOf } from "../../admin/contract/contract.ts";
import { invalid } from "../../admin/input.ts";
import { ConfigFaults, checkConfig } from "../config/config.ts";
import { readYaml } from "../config/options.ts";
import type { SourceOptions } from "../config/source-options.ts";
import type { createMigration } from "../contract.ts";
import { assertBelow } from "../sources/local-paths.ts";
import type { JobInput } from "./run-input.ts";

export type JobRequest = Omit<InputOf<typeof createMigration>, "id">;

/** Options that name files of this machine. */
const PATHS: ReadonlySet<string> = new Set(["local.image_root_path", "url.url_list_file_path"]);
const LIST_OPTION = "url.url_list_file_path";
const REQUEST = "request.json";
const UNFINISHED = "request.new";
const CONFIG = "config.yaml";
const LIST = "list.txt";

/**
 * Throws request_invalid: every fault of the config, or a path outside the folders, whose existence is not told. It may
 * take a second, to compile a filter. `folders`: those of this machine that jobs may read.
 */
export function checkRequest(request: JobRequest, folders: readonly string[]): void {
  const { config, list, sitemap } = request;
  for (const [name, value] of Object.entries(config))
    if (PATHS.has(name.toLowerCase())) assertBelow(String(value), folders);
  const source = originsOf(request);
  if (source === undefined && sitemap !== undefined) throw invalid('"sitemap" needs "fromOrigin"');
  if (list !== undefined && sitemap !== undefined) throw invalid('give "list" or "sitemap", not both');
  // The journal and the reports name it.
  if (/[?@\p{Cc}]/u.test(sitemap ?? "")) throw invalid('"sitemap" must have neither "?" nor "@": give "list" instead');
  // A list of the request needs no file yet.
  const own = list === undefined || source !== undefined ? {} : { [LIST_OPTION]: "-" };
  const { options, faults } = readYaml(JSON.stringify({ ...config, ...own }));
  asRefusal(() => checkConfig(options, { isStore: true, source }, faults));
}

/** The origins that the request names as its source. */
export function originsOf({ fromOrigin, list, sitemap }: JobRequest) {
  return fromOrigin === undefined
    ? undefined
    : ({ type: "origins", host: fromOrigin.toLowerCase(), list, sitemap } as const satisfies SourceOptions);
}

/** Turns ConfigFaults into request_invalid. */
export function asRefusal(check: () => void): void {
  try {
    check();
  } catch (error) {
    throw error instanceof ConfigFaults ? invalid(error.message) : error;
  }
}

/** Creates the folder. */
export function writeJob(dir: string, request: JobRequest): void {
  const { config, list, fromOrigin } = request;
  // The last option of a name counts.
  const own = list === undefined || fromOrigin !== undefined ? {} : { [LIST_OPTION]: join(dir, LIST) };
  // JSON is YAML.
  const files = {
    [CONFIG]: JSON.stringify({ ...config, ...own }),
    [LIST]: list ?? "",
    [UNFINISHED]: JSON.stringify({ ...request, list: list === undefined ? undefined : "" }),
  };
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text, { mode: 0o600 });
  renameSync(join(dir, UNFINISHED), join(dir, REQUEST));
}

/** False also for a folder whose writeJob() or removeJob() did not end. */
export function isJob(dir: string): boolean {
  return existsSync(join(dir, REQUEST));
}

export function removeJob(dir: string): void {
  rmSync(join(dir, REQUEST));
  rmSync(dir, { recursive: true });
}

/** The request as writeJob() wrote it; a `list` is in a file of its own. */
export function readRequest(dir: string): JobRequest {
  return JSON.parse(readFileSync(join(dir, REQUEST), "utf8")) as JobRequest;
}

/** The work of a run: to copy, or to compare by hash a sample such as `5%`. */
export type JobWork = { readonly rescans: boolean } | { readonly sample: string };

/** `settings`: the file of the server. */
export function inputOf(dir: string, settings: string, work: JobWork): JobInput {
  const { fromOrigin, sitemap, list, acceptSuspect, overwrite } = readRequest(dir);
  const sourceAndTarget = {
    ...{ config: join(dir, CONFIG), job: dir, json: false, settings, allowPrivate: false, isOfServer: true },
    ...{ fromOrigin, sitemap, list: fromOrigin === undefined || list === undefined ? undefined : join(dir, LIST) },
  };
  if ("sample" in work) return { verify: { ...sourceAndTarget, all: false, sample: work.sample } };
  return { copy: { ...sourceAndTarget, overwrite, acceptSuspect, force: work.rescans, lenient: false } };
}

/** The source that the request names, without secrets. */
export function sourceOf({ config, fromOrigin }: JobRequest): string {
  const type = Object.entries(config).find(([name]) => name.toLowerCase() === "migrate.type");
  return fromOrigin ?? String(type?.[1] ?? "");
}

const SECRET = /key$|secretid$/i;
/** A shorter key is left in the text: too many of its words would have to be hidden. */
const MIN_SECRET_CHARACTERS = 4;
const URLS = /\b[a-z][a-z\d+.-]*:\/\/[^\s"'<>]+/gi;

/** Removes the keys of the config, if they are not too short, and the secrets and queries of URLs. */
export function withoutSecrets(text: string, { config }: JobRequest): string {
  const secrets = Object.entries(config).flatMap(([name, value]) => (SECRET.test(name) ? [String(value)] : []));
  const known = secrets
    .filter((secret) => secret.length >= MIN_SECRET_CHARACTERS)
    // The longest first: another one may be a part of it.
    .toSorted((one, other) => other.length - one.length)
    .reduce((rest, secret) => rest.replaceAll(secret, "…"), text);
  return known.replace(URLS, (url) => redactTarget(url).replace(/\?.*/, "?…"));
}

// The files of a server's migration in its folder: the request, its config, which holds secrets, and its list of URLs.
// Checks them before every run, and makes the command of a run.
import { existsSync, mkdirSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { HuiyuanError } from "../../core/errors.ts";
import { ConfigFaults, loadConfig } from "../config/config.ts";

export interface JobRequest {
  /** Options of a config file. */
  readonly config: Readonly<Record<string, string | number | boolean>>;
  /** Lines: URLs, or with `fromOrigin` also keys. */
  readonly list?: string | undefined;
  /** The source is the origins of this domain of the settings. */
  readonly fromOrigin?: string | undefined;
  readonly sitemap?: string | undefined;
  readonly acceptSuspect: boolean;
  readonly overwrite: "never" | "newer" | "always";
}

/** Options that name files of this machine. */
const PATHS: ReadonlySet<string> = new Set(["local.image_root_path", "url.url_list_file_path"]);
const LIST_OPTION = "url.url_list_file_path";
const PRIVATE = { mode: 0o600 };
const listOf = (dir: string) => join(dir, "list.txt");
const configOf = (dir: string) => join(dir, "config.yaml");
const requestOf = (dir: string) => join(dir, "request.json");

/** Creates the folder. Throws as checkJob(), and leaves no folder then. */
export function writeJob(dir: string, request: JobRequest, folders: readonly string[]): void {
  const { config, list, fromOrigin } = request;
  // The last option of a name counts.
  const own = list === undefined || fromOrigin !== undefined ? {} : { [LIST_OPTION]: listOf(dir) };
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  try {
    // JSON is YAML.
    writeFileSync(configOf(dir), JSON.stringify({ ...config, ...own }), PRIVATE);
    if (list !== undefined) writeFileSync(listOf(dir), list, PRIVATE);
    const path = `${requestOf(dir)}.new`;
    writeFileSync(path, JSON.stringify({ ...request, list: list === undefined ? undefined : "" }), PRIVATE);
    renameSync(path, requestOf(dir));
    checkJob(dir, folders);
  } catch (error) {
    rmSync(dir, { recursive: true, force: true });
    throw error;
  }
}

/** False also for a folder whose writeJob() did not end. */
export function isJob(dir: string): boolean {
  return existsSync(requestOf(dir));
}

/** The request as writeJob() wrote it; a `list` is in a file of its own. */
export function readRequest(dir: string): JobRequest {
  return JSON.parse(readFileSync(requestOf(dir), "utf8")) as JobRequest;
}

/** Throws request_invalid: every fault of the config, or a path outside `folders`, whose existence is not told. */
export function checkJob(dir: string, folders: readonly string[]): void {
  const request = readRequest(dir);
  for (const [name, value] of Object.entries(request.config))
    if (PATHS.has(name.toLowerCase())) assertBelow(String(value), folders);
  const { fromOrigin: host, list, sitemap } = request;
  if (host === undefined && sitemap !== undefined) throw refused('"sitemap" needs "fromOrigin"');
  if (list !== undefined && sitemap !== undefined) throw refused('give "list" or "sitemap", not both');
  const origins = host === undefined ? undefined : ({ type: "origins", host, list, sitemap } as const);
  try {
    loadConfig(configOf(dir), { isStore: true, source: origins });
  } catch (error) {
    if (error instanceof ConfigFaults) throw refused(error.message);
    throw error;
  }
}

/** The arguments of `huiyuan` for a run. They hold no secrets, because every user of the machine sees them. */
export function commandOf(dir: string, settingsFile: string): readonly string[] {
  const { fromOrigin, sitemap, list, acceptSuspect, overwrite } = readRequest(dir);
  return [
    ...["migrate", "start", "--config", configOf(dir), "--job", dir, "--settings", settingsFile],
    ...["--no-file-urls", "--overwrite", overwrite],
    ...(fromOrigin === undefined ? [] : [`--from-origin=${fromOrigin}`]),
    ...(fromOrigin === undefined || list === undefined ? [] : ["--list", listOf(dir)]),
    ...(sitemap === undefined ? [] : [`--sitemap=${sitemap}`]),
    ...(acceptSuspect ? ["--accept-suspect"] : []),
  ];
}

/** The source that the request names, without secrets. */
export function sourceOf({ config, fromOrigin }: JobRequest): string {
  const type = Object.entries(config).find(([name]) => name.toLowerCase() === "migrate.type");
  return fromOrigin ?? String(type?.[1] ?? "");
}

function assertBelow(path: string, folders: readonly string[]): void {
  const real = isAbsolute(path) ? realOf(path) : undefined;
  const isBelow = folders.some((folder) => {
    const base = realOf(folder);
    return real !== undefined && base !== undefined && (real === base || real.startsWith(base.replace(/\/?$/, "/")));
  });
  if (isBelow) return;
  const message = `${JSON.stringify(path)} does not exist below a folder of server.migrationFolders`;
  throw new HuiyuanError("request_invalid", message, { answerStatus: 403 });
}

function realOf(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined; // It is not there, or may not be read.
  }
}

function refused(message: string): HuiyuanError {
  return new HuiyuanError("request_invalid", message);
}

// Loads huiyuan.yaml into frozen Settings, or throws every fault at once. It does not watch the file: watch.ts does.
import { createHash } from "node:crypto";
import { dirname, resolve } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { HuiyuanError } from "../core/errors.ts";
import { readDocument, type SettingsDocument } from "./document.ts";
import { type Both, type Language, say } from "./fault-words.ts";
import {
  describeIssue,
  type Fault,
  formatPath,
  messageOf,
  type PathFault,
  SettingsFaults,
  type SettingsPath,
  unknownKey,
  withoutValue,
} from "./faults.ts";
import { type BucketSettings, type ServerSettings, type Settings, settingsSchema } from "./schema/schema.ts";
import { failureCode, failureReason, isBelow, readingOutside, realOf, type SecretSources } from "./secret.ts";
import { hideSecrets, resolveSecrets } from "./secrets.ts";
import { isSecretPath, textsAt } from "./setting-paths.ts";
import { MAX_FILE_BYTES, readSmallFile, readSmallFileSync } from "./small-file.ts";

/** The inputs of parsing beside the text; nothing else of the machine is read. `readFile` reads 404 pages, too. */
interface ParseOptions extends Omit<SecretSources, "folder"> {
  /** Path of the settings file. Faults name it, and relative paths start from its folder. */
  readonly file: string;
  /**
   * The secrets that must be present. `keys`: those under `projects[].keys`, for commands that only sign. `address`:
   * `server.adminToken`, for commands that use the admin port. Other missing secrets become placeholders then, and no
   * notFound page is read. `all`, for servers, is the default.
   */
  readonly needs?: "all" | "keys" | "address";
}

/**
 * The settings of a regular file of at most 1 MiB, deeply frozen. Throws SettingsFaults with every fault, also if the
 * file cannot be read.
 */
export async function loadSettings(
  file: string,
  { env, needs }: Pick<ParseOptions, "env" | "needs">,
): Promise<Settings> {
  const { text } = await readSettingsText(file);
  return parseSettings(text, { env, readFile: readSmallFileSync, file, ...(needs && { needs }) });
}

/** As loadSettings(), but from text. Throws SettingsFaults. */
export function parseSettings(text: string, options: ParseOptions): Settings {
  const settings = checkSettings(readDocument(text), options);
  hideSecrets(settings);
  return deepFreeze(settings);
}

/** As parseSettings(), but its result is neither frozen nor safe to log. Tests pass another schema. */
export function checkSettings(
  document: SettingsDocument,
  { env, readFile, file, needs = "all" }: ParseOptions,
  schema = settingsSchema,
): Settings {
  const folder = dirname(resolve(file));
  if (document.tree === undefined) throw new SettingsFaults(file, inOrder(document.faults));
  const data = realOf(
    resolve(folder, settingsSchema.shape.data.parse(textsAt(document.tree, ["data"])[0] || undefined)),
  );
  const isInData = (path: string) => isBelow(data, realOf(path));
  const readOutside = readingOutside(data, readFile);
  const { tree, faults: secretFaults } = resolveSecrets(document.tree, { env, readFile: readOutside, folder });
  const parsed = schema.safeParse(tree ?? {}, { error: describeIssue });
  const settings = parsed.data === undefined ? undefined : withAbsolutePaths(parsed.data, folder);
  const located = [
    ...secretFaults.filter(({ path }) => NEEDED[needs](path)),
    ...withoutMisspelt((parsed.error?.issues ?? []).flatMap(issueFaults)),
    ...(settings === undefined || needs !== "all" ? [] : missingFiles(settings, readOutside)),
    ...(settings === undefined || needs !== "all" ? [] : dataFaults(settings, resolve(file), isInData)),
  ].map((fault) => document.locate(fault));
  if (settings === undefined || located.length + document.faults.length > 0) {
    throw new SettingsFaults(file, inOrder([...document.faults, ...located]));
  }
  return settings;
}

/**
 * The text of a settings file, and its version: the SHA-256 of its bytes, in hex. Throws SettingsFaults if the file is
 * unreadable, not a regular file, above 1 MiB, or not UTF-8.
 */
export async function readSettingsText(file: string): Promise<{ readonly text: string; readonly version: string }> {
  const bytes = await readSmallFile(file).catch((error: unknown) => {
    throw unreadable(file, failureCode(error));
  });
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return { text, version: createHash("sha256").update(bytes).digest("hex") };
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw wholeFileFault(file, say("notUtf8"));
  }
}

function unreadable(file: string, why: string): SettingsFaults {
  if (why === "no plain file" || why === "EISDIR") return wholeFileFault(file, say("noPlainFile"));
  if (why === "EFBIG") return wholeFileFault(file, say("fileTooLarge", { max: MAX_FILE_BYTES }));
  const place = { line: 0, column: 0 };
  if (why === "ENOENT") return wholeFileFault(resolve(file), say("noFile"), place);
  return wholeFileFault(file, say("unreadable", { why }), place);
}

/** A fault of the file as a whole. */
export function wholeFileFault(file: string, { en, zh }: Both, place = { line: 1, column: 1 }): SettingsFaults {
  return new SettingsFaults(file, [{ path: "", ...place, message: en, zh }]);
}

/** True if the secret at the path must be present. */
const NEEDED: Readonly<Record<NonNullable<ParseOptions["needs"]>, (path: SettingsPath) => boolean>> = {
  all: () => true,
  keys: (path) => path[0] === "projects" && path[2] === "keys",
  address: (path) => path[0] === "server",
};

function inOrder(faults: readonly Fault[]): readonly Fault[] {
  return faults.toSorted((a, b) => a.line - b.line || a.column - b.column);
}

type Issue = NonNullable<ReturnType<typeof settingsSchema.safeParse>["error"]>["issues"][number];

function issueFaults(issue: Issue): readonly PathFault[] {
  // YAML keys are texts and list positions are numbers, so a path never holds a symbol.
  const path = issue.path as SettingsPath;
  if (issue.code === "unrecognized_keys") {
    const known = issue.message.split("\n");
    return issue.keys.map((key) => unknownKey(path, key, known));
  }
  const said = messageOf(issue.message);
  const message = isSecretPath(path) ? withoutValue(said) : said;
  return [{ path, message, at: issue.code === "invalid_key" ? "key" : "value" }];
}

/** A misspelt key is one fault, not also a missing key. */
function withoutMisspelt(faults: readonly PathFault[]): readonly PathFault[] {
  const meant = new Set(faults.flatMap((fault) => formatPath(fault.meant ?? [])));
  return faults.filter(({ path, message }) => !(message.en.startsWith("is missing") && meant.has(formatPath(path))));
}

function withAbsolutePaths(settings: Settings, folder: string): Settings {
  const inBucket = (bucket: BucketSettings): BucketSettings =>
    bucket.notFound === undefined ? bucket : { ...bucket, notFound: { file: resolve(folder, bucket.notFound.file) } };
  return {
    ...settings,
    data: resolve(folder, settings.data),
    projects: settings.projects.map((project) => ({ ...project, buckets: project.buckets.map(inBucket) })),
  };
}

function dataFaults({ server }: Settings, file: string, isInData: (path: string) => boolean): readonly PathFault[] {
  const own = isInData(file) || isInData(dirname(file)) ? [{ path: ["data"], message: say("fileInData") }] : [];
  const folders = server.migrationFolders.map((folder, index) => ({
    folder,
    path: ["server", "migrationFolders", index],
  }));
  const inData = folders.filter(({ folder }) => isInData(folder));
  return [...own, ...inData.map(({ path }) => ({ path, message: say("folderInData") }))];
}

function missingFiles(settings: Settings, readFile: ParseOptions["readFile"]): readonly PathFault[] {
  return settings.projects.flatMap(({ buckets }, project) =>
    buckets.flatMap(({ notFound }, bucket) => {
      try {
        if (notFound !== undefined) readFile(notFound.file);
        return [];
      } catch (error) {
        const message = say("unreadable", { why: failureReason(error) });
        return [{ path: ["projects", project, "buckets", bucket, "notFound", "file"], message }];
      }
    }),
  );
}

/** Frozen parts are not looked into. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const inner of Object.values(value)) deepFreeze(inner);
  return value;
}

/** One line each, for operators. */
export function settingsWarnings({ server, limits, projects }: Settings, language: Language = "en"): readonly string[] {
  const { adminHosts, adminToken, trustedProxies, workers } = server;
  const { requestsPerSecond, rendersPerSecond } = limits.perClient;
  const isOpen = adminHosts.length > 0 && adminToken === undefined;
  const isBlind = requestsPerSecond + rendersPerSecond > 0 && trustedProxies.length === 0;
  const closed = projects
    .flatMap(({ buckets }) => buckets)
    .filter(({ processing, aliases, styles }) => processing === "aliases" && isEmpty(aliases) && isEmpty(styles))
    .map(({ name }) => say("noAlias", { name }));
  const general = [
    ...(isOpen ? [say("openAdmin")] : []),
    ...(isBlind ? [say("oneClient")] : []),
    ...(workers === undefined ? [] : [say("workers")]),
  ];
  return [...general, ...projects.flatMap(exampleKeys), ...closed].map((warning) => warning[language]);
}

/** Warns of values that were copied from the documentation, and of a shell's variable, which nothing replaces. */
function exampleKeys({ appid, keys }: Settings["projects"][number]): readonly Both[] {
  return keys.flatMap(({ secretId, secretKey }, index) => {
    const [id, key] = [`keys[${index}].secretId`, `keys[${index}].secretKey`];
    return [
      ...(secretId === "AKIDEXAMPLE" ? [say("exampleKey", { appid, key: id })] : []),
      ...(secretKey.startsWith("paste-the-") ? [say("exampleKey", { appid, key })] : []),
      ...(secretKey.startsWith("$") ? [say("shellVariable", { appid, key })] : []),
    ];
  });
}

const isEmpty = (names: object) => Object.keys(names).length === 0;

/** The settings under `server` and at the root that take effect only at the next start. */
export const SERVER_KEYS = ["host", "port", "adminHost", "adminPort"] as const satisfies (keyof ServerSettings)[];
export const ROOT_KEYS = ["data", "store", "coordination"] as const satisfies (keyof Settings)[];
export type RestartSettings = Pick<Settings, "server" | (typeof ROOT_KEYS)[number]>;

/** Dotted paths (`server.port`, `data`, …) of changed settings that take effect only at the next start. */
export function settingsNeedingRestart(old: RestartSettings, next: RestartSettings): readonly string[] {
  return [
    ...SERVER_KEYS.filter((key) => old.server[key] !== next.server[key]).map((key) => `server.${key}`),
    ...ROOT_KEYS.filter((key) => !isDeepStrictEqual(old[key], next[key])),
  ];
}

/**
 * `file`: as an operator would write it. `cannot`: the action that fails, such as `Cannot mirror http://a.example`.
 * Throws settings_invalid with it. Faults have no position, because the user has not written this file.
 */
export function makeSettings(file: object, cannot: string): Settings {
  const readFile = (path: string): never => {
    throw new HuiyuanError("settings_invalid", `Cannot read "${path}": these settings read no files`);
  };
  try {
    return parseSettings(JSON.stringify(file), { env: {}, readFile, file: "huiyuan.yaml" });
  } catch (error) {
    if (!(error instanceof SettingsFaults)) throw error;
    const faults = new Set(error.faults.map(({ message }) => message));
    throw new HuiyuanError("settings_invalid", `${cannot}: ${[...faults].join("; ")}`, { cause: error });
  }
}

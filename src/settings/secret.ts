// One secret: the text itself, or what `env:NAME` and `file:PATH` name. It reads no files itself: the caller passes the
// function.
import { realpathSync } from "node:fs";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { errorCodeOf } from "../core/disk-failure.ts";
import { type Both, both, say } from "./fault-words.ts";

/** The environment and the files that secrets are read from. */
export interface SecretSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** UTF-8 text of the file at an absolute path. Throws if it cannot be read. */
  readonly readFile: (path: string) => string;
  /** Base folder of relative paths. */
  readonly folder: string;
}

/** Stands for a secret wherever settings are shown. */
export const MASK = "[secret]";

/** The secret, or what is wrong with its reference. */
export function resolveSecret(text: string, sources: SecretSources): string | Both {
  if (text === MASK) return say("masked", { mask: MASK });
  if (text.startsWith("env:")) return fromEnvironment(text.slice(4), sources.env);
  if (text.startsWith("file:")) return fromFile(text.slice(5), sources);
  return text;
}

/** Reads no file below the data folder: others have sent what lies there. `data` is a real path. */
export function readingOutside(data: string, readFile: SecretSources["readFile"]): SecretSources["readFile"] {
  return (path) => {
    if (isBelow(data, realOf(path))) throw Object.assign(new Error(path), { code: say("belowData").en });
    return readFile(path);
  };
}

function fromEnvironment(name: string, env: SecretSources["env"]): string | Both {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return say("envWithoutName");
  const value = env[name];
  if (value !== undefined && value !== "") return value;
  return say(value === undefined ? "envNotSet" : "envEmpty", { name });
}

function fromFile(path: string, sources: SecretSources): string | Both {
  if (path === "") return say("fileWithoutPath");
  const whole = resolve(sources.folder, path);
  if ([path, realOf(whole)].some((each) => PAGE_NAME.test(each))) return say("secretIsPage", { path });
  try {
    const value = sources.readFile(whole).replace(/\r?\n$/, "");
    return value === "" ? say("secretEmpty", { path }) : value;
  } catch (error) {
    return say("secretUnreadable", { path, why: failureReason(error) });
  }
}

/** The error code of a failed read: `ENOENT`, `EACCES`, … */
export function failureCode(error: unknown): string {
  return errorCodeOf(error) || say("unknownReason").en;
}

/** As failureCode(), in both languages. */
export function failureReason(error: unknown): Both {
  const code = failureCode(error);
  return [say("belowData"), say("unknownReason")].find(({ en }) => en === code) ?? both(code, code);
}

/** The names of pages, which everyone may read. A secret never has such a name, so no page was ever a secret. */
export const PAGE_NAME = /\.(?:html?|png|jpe?g|gif|webp)$/i;

/** Without symbolic links, as far as the path exists. `path` is absolute. */
export function realOf(path: string): string {
  try {
    return realpathSync.native(path);
  } catch {
    const parent = dirname(path); // No such file, or its folder may not be read.
    return parent === path ? path : join(realOf(parent), basename(path));
  }
}

/** True for the folder itself, too. Both are real paths. */
export function isBelow(folder: string, path: string): boolean {
  const inside = relative(folder, path);
  return inside !== ".." && !inside.startsWith(`..${sep}`);
}

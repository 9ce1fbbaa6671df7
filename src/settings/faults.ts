// Describes the faults of a settings file: each message names the value that was found and the value that is wanted.
// No message contains a secret.
import * as z from "zod";
import { nearestName } from "./nearest-name.ts";

/** Keys and list positions from the root of the file. */
export type SettingsPath = readonly (string | number)[];

/** One fault. `line` and `column` count from 1; both are 0 if the file could not be read. */
export interface Fault {
  /** Dotted, as in `projects[0].buckets[1].name`; empty for the file as a whole. */
  readonly path: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

/** A fault without its position in the text. `at`: report the position of the key or of the value. */
export interface PathFault {
  readonly path: SettingsPath;
  readonly message: string;
  readonly at?: "key" | "value";
  /** The path of the key that the writer of an unknown key most likely meant, which the mapping then lacks. */
  readonly meant?: SettingsPath;
}

/** Every fault of one settings file, in the order of the text. */
export class SettingsFaults extends Error {
  readonly code = "settings_invalid";
  readonly file: string;
  readonly faults: readonly Fault[];

  constructor(file: string, faults: readonly Fault[]) {
    const lines = faults.map((fault) => formatFault(file, fault));
    super(lines.length === 1 ? lines[0] : `Cannot use "${file}":\n${lines.join("\n")}`);
    this.name = "SettingsFaults";
    this.file = file;
    this.faults = faults;
  }
}

/** `FILE:LINE:COL  path  message`; editors and terminals make a link of it. */
export function formatFault(file: string, fault: Fault): string {
  const place = fault.line === 0 ? file : `${file}:${fault.line}:${fault.column}`;
  return [place, fault.path, fault.message].filter((part) => part !== "").join("  ");
}

/** Writes a path as `projects[0].aliases["a.b"]`. */
export function formatPath(path: SettingsPath): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === "number") return `${text}[${part}]`;
    if (!/^[\w-]+$/.test(part)) return `${text}[${JSON.stringify(part)}]`;
    return text === "" ? part : `${text}.${part}`;
  }, "");
}

/** A value for a message: scalars unchanged (at most 60 characters), collections by kind only. */
export function show(value: unknown): string {
  if (value === undefined || value === null) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a mapping";
  if (typeof value !== "string") return String(value);
  return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}…` : value);
}

type RawIssue = z.core.$ZodRawIssue;

/** The zod `error` of a key that names its own wanted value: `found "x", wanted <words>`. */
export function wanted(words: string): (issue: RawIssue) => string {
  return (issue) => found(issue, words);
}

/**
 * The message of an issue without a message of its own. For unknown keys it is the list of the known ones, one a line,
 * because zod passes the schema nowhere else: unknownKey() makes the messages.
 */
export function describeIssue(issue: RawIssue): string {
  switch (issue.code) {
    case "unrecognized_keys":
      return knownKeys(issue.inst).join("\n");
    case "invalid_type":
      return found(issue, KINDS[issue.expected] ?? issue.expected);
    case "invalid_value":
      return found(issue, oneOf(issue.values));
    case "invalid_union":
      return "discriminator" in issue ? unknownTag(issue) : found(issue, "another kind of value");
    case "invalid_key":
      return issue.issues[0]?.message ?? "is not a valid name";
    case "too_small":
      return found(issue, issue.origin === "string" ? "some text" : `at least ${amount(issue.origin, issue.minimum)}`);
    case "too_big":
      return found(issue, `at most ${amount(issue.origin, issue.maximum)}`);
    default:
      return found(issue, "something else");
  }
}

const KINDS: Readonly<Record<string, string>> = {
  string: "text",
  number: "a whole number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "a mapping",
  record: "a mapping",
};

function found(issue: RawIssue, wants: string): string {
  const { input } = issue;
  if (input === undefined) return `is missing, wanted ${wants}`;
  if (Array.isArray(input) && (issue.code === "too_small" || issue.code === "too_big")) {
    return `found ${amount("array", input.length)}, wanted ${wants}`;
  }
  // Only the kind is shown if a collection is wanted, because the scalar may be a pasted secret.
  const isCollectionWanted = wants === "a list" || wants === "a mapping";
  return `found ${isCollectionWanted && input !== null ? kindOf(input) : quoteHint(input, wants)}, wanted ${wants}`;
}

/** A message of this file without the value that was found. */
export function withoutValue(message: string): string {
  return message.replace(/^found .*, wanted /s, "found something else, wanted ");
}

function kindOf(value: unknown): string {
  if (typeof value === "string") return "text";
  return typeof value === "object" ? show(value) : `a ${typeof value}`;
}

function quoteHint(value: unknown, wants: string): string {
  const isUnquoted = wants === "text" && (typeof value === "number" || typeof value === "boolean");
  return isUnquoted ? `the ${typeof value} ${value} (put it in quotes)` : show(value);
}

function amount(origin: string, count: number | bigint): string {
  if (origin === "array") return `${count} ${count === 1 ? "entry" : "entries"}`;
  return origin === "string" ? `${count} characters` : String(count);
}

/** For a tag that no variant of a union has. zod passes the whole mapping as input, although the path names the tag. */
function unknownTag(issue: Extract<RawIssue, { code: "invalid_union" }>): string {
  const { discriminator, options, input } = issue as { discriminator?: string; options?: unknown[]; input?: unknown };
  const tag = (input as Record<string, unknown>)[discriminator ?? ""];
  return found({ ...issue, input: tag }, oneOf(options ?? []));
}

function oneOf(values: readonly unknown[]): string {
  const shown = values.map(show);
  return shown.length < 2 ? shown.join("") : `${shown.slice(0, -1).join(", ")} or ${shown.at(-1)}`;
}

function knownKeys(schema: RawIssue["inst"]): readonly string[] {
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
}

/** The fault of an unknown key in the mapping at `path`. */
export function unknownKey(path: SettingsPath, key: string, known: readonly string[]): PathFault {
  const near = nearestName(key, known);
  const next = near === undefined ? "docs/reference/settings.md lists all keys" : `did you mean \`${near}\`?`;
  const message = `unknown key \`${key.length > 60 ? `${key.slice(0, 57)}…` : key}\`; ${next}`;
  return { path: [...path, key], at: "key", message, ...(near !== undefined && { meant: [...path, near] }) };
}

// Describes the faults of a settings file: each message names the value that was found and the value that is wanted.
// No message contains a secret.
import type * as z from "zod";
import { type Both, both, say } from "./fault-words.ts";

/** Keys and list positions from the root of the file. */
export type SettingsPath = readonly (string | number)[];

/** One fault. `line` and `column` count from 1; both are 0 if the file could not be read. */
export interface Fault {
  /** Dotted, as in `projects[0].buckets[1].name`; empty for the file as a whole. */
  readonly path: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
  /** The message in Chinese. */
  readonly zh: string;
}

/** A fault without its position in the text. `at`: report the position of the key or of the value. */
export interface PathFault {
  readonly path: SettingsPath;
  readonly message: Both;
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
export function formatFault(file: string, fault: Omit<Fault, "zh">): string {
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
function show(value: unknown): Both {
  if (value === undefined || value === null) return say("nothing");
  if (Array.isArray(value)) return say("list");
  if (typeof value === "object") return say("mapping");
  return asIs(shown(value));
}

const asIs = (text: string) => both(text, text);

function shown(scalar: unknown): string {
  if (typeof scalar !== "string") return String(scalar);
  return JSON.stringify(scalar.length > 60 ? `${scalar.slice(0, 57)}…` : scalar);
}

type RawIssue = z.core.$ZodRawIssue;

/** The message of a zod issue that messageOf() reads: JSON, because zod passes a text only. */
export const coded = (message: Both) => JSON.stringify(message);

/** The message of coded(). */
export const messageOf = (text: string) => JSON.parse(text) as Both;

/** The zod `error` of a key that names its own wanted value, in both languages: `found "x", wanted <en>`. */
export function wanted(en: string, zh: string): (issue: RawIssue) => string {
  return (issue) => coded(found(issue, both(en, zh)));
}

/**
 * The message of an issue without a message of its own. For unknown keys it is the list of the known ones, one a line,
 * because zod passes the schema nowhere else: unknownKey() makes the messages.
 */
export function describeIssue(issue: RawIssue): string {
  if (issue.code === "unrecognized_keys") return knownKeys(issue.inst).join("\n");
  if (issue.code === "invalid_key") return issue.issues[0]?.message ?? coded(say("noValidName"));
  return coded(describe(issue));
}

function describe(issue: RawIssue): Both {
  switch (issue.code) {
    case "invalid_type":
      return found(issue, kindNamed(issue.expected));
    case "invalid_value":
      return found(issue, oneOf(issue.values));
    case "invalid_union":
      return "discriminator" in issue ? unknownTag(issue) : found(issue, say("anotherKind"));
    case "too_small":
      return found(issue, atLeast(issue.origin, issue.minimum));
    case "too_big":
      return found(issue, say("atMost", { amount: amount(issue.origin, issue.maximum) }));
    default:
      return found(issue, say("somethingElse"));
  }
}

function kindNamed(type: string): Both {
  if (type === "string") return say("text");
  if (type === "number" || type === "int") return say("wholeNumber");
  if (type === "boolean") return say("boolean");
  if (type === "array") return say("list");
  return type === "object" || type === "record" ? say("mapping") : asIs(type);
}

function found(issue: RawIssue, wants: Both): Both {
  const { input } = issue;
  if (input === undefined) return say("missing", { wants });
  if (Array.isArray(input) && (issue.code === "too_small" || issue.code === "too_big")) {
    return say("found", { found: amount("array", input.length), wants });
  }
  // Only the kind is shown if a collection is wanted, because the scalar may be a pasted secret.
  const isCollectionWanted = issue.code === "invalid_type" && ["array", "object", "record"].includes(issue.expected);
  return say("found", { found: isCollectionWanted && input !== null ? kindOf(input) : quoteHint(input, wants), wants });
}

/** A message of this file without the value that was found. */
export function withoutValue({ en, zh }: Both): Both {
  const { en: enElse, zh: zhElse } = say("found", { found: say("somethingElse"), wants: "" });
  return both(en.replace(/^found .*, wanted /s, enElse), zh.replace(/^实际是：.*，应为：/s, zhElse));
}

function kindOf(value: unknown): Both {
  if (typeof value === "string") return say("text");
  if (typeof value === "boolean") return say("aBoolean");
  return typeof value === "object" ? show(value) : say("aNumber");
}

function quoteHint(value: unknown, wants: Both): Both {
  const isUnquoted = wants.en === say("text").en && (typeof value === "number" || typeof value === "boolean");
  return isUnquoted ? say("quotes", { type: typeof value, value: String(value) }) : show(value);
}

const atLeast = (origin: string, minimum: number | bigint) =>
  origin === "string" ? say("someText") : say("atLeast", { amount: amount(origin, minimum) });

function amount(origin: string, count: number | bigint): Both {
  if (origin === "array") return Number(count) === 1 ? say("oneEntry") : say("entries", { count });
  return origin === "string" ? say("characters", { count }) : asIs(String(count));
}

/** For a tag that no variant of a union has. zod passes the whole mapping as input, although the path names the tag. */
function unknownTag(issue: Extract<RawIssue, { code: "invalid_union" }>): Both {
  const { discriminator, options, input } = issue as { discriminator?: string; options?: unknown[]; input?: unknown };
  const tag = (input as Record<string, unknown>)[discriminator ?? ""];
  return found({ ...issue, input: tag }, oneOf(options ?? []));
}

function oneOf(values: readonly unknown[]): Both {
  const [last = "", ...others] = values.map(shown).reverse();
  const list = others.reverse();
  return list.length === 0 ? asIs(last) : say("or", { list: both(list.join(", "), list.join("、")), last });
}

/** Without zod's classes: loading them takes longer than the rest of a command's start. */
function knownKeys(schema: RawIssue["inst"]): readonly string[] {
  const { shape = {} } = (schema ?? {}) as Partial<z.ZodObject>;
  return Object.keys(shape);
}

/** The fault of an unknown key in the mapping at `path`. */
export function unknownKey(path: SettingsPath, name: string, known: readonly string[]): PathFault {
  const near = nearestName(name, known);
  const key = name.length > 60 ? `${name.slice(0, 57)}…` : name;
  const message = near === undefined ? say("unknownKey", { key }) : say("unknownNear", { key, near });
  return { path: [...path, name], at: "key", message, ...(near !== undefined && { meant: [...path, near] }) };
}

/** The most similar of `known`, ignoring case; undefined if each differs in more than two fifths of its letters. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  const [nearest] = known
    .map((each) => ({ each, distance: editDistance(name.toLowerCase(), each.toLowerCase()) }))
    .filter(({ each, distance }) => distance * 5 <= Math.max(name.length, each.length) * 2)
    .sort((a, b) => a.distance - b.distance);
  return nearest?.each;
}

/** The number of letters to insert, remove or replace (Levenshtein distance). */
function editDistance(from: string, to: string): number {
  // One row of the table: the distances of the letters of `from` so far to each beginning of `to`.
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (const [index, letter] of [...from].entries()) {
    const next = [index + 1];
    for (let at = 1; at <= to.length; at += 1) {
      const replaced = (row[at - 1] ?? 0) + (letter === to[at - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[at] ?? 0) + 1, (next[at - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}

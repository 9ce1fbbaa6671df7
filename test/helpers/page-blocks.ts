// Reads the code blocks of the documentation and their marks. page-run.ts runs them, and settings-blocks.ts checks
// settings.
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Every Markdown page of the documentation, below the repository. */
export const PAGES: readonly string[] = [
  ...["README.md", "README.zh-CN.md"],
  ...readdirSync(`${ROOT}docs`, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".md") && !path.includes("node_modules"))
    .sort()
    .map((path) => `docs/${path}`),
];

const RUNS = ["run", "run background", "run fails"] as const;
const NAMES = ["file", "skip", "kind", "in"] as const;

export interface Block {
  readonly page: string;
  /** Line of the opening fence, from 1. */
  readonly line: number;
  /** `sh`, `yaml`, …; empty for a block without one. */
  readonly language: string;
  readonly run?: (typeof RUNS)[number];
  /** `file`: path to write to. `skip`: reason. `kind`: of YAML that is no settings. `in`: place in the settings. */
  readonly marks: Readonly<Partial<Record<(typeof NAMES)[number], string>>>;
  /** Without the indentation of the fence. */
  readonly text: string;
}

/** The blocks of a page, in order. Throws for a mark that no test knows. */
export function blocksOf(page: string): readonly Block[] {
  return blocksIn(page, readFileSync(`${ROOT}${page}`, "utf8"));
}

export function blocksIn(page: string, markdown: string): readonly Block[] {
  return [...markdown.matchAll(/^( *)(`{3,}|~{3,})([^\n]*)\n([\s\S]*?)^\1\2 *$/gm)].map((match) => {
    const [, indent = "", , info = "", body = ""] = match;
    const line = markdown.slice(0, match.index).split("\n").length;
    const [, language = "", rest = ""] = /^(\S*)\s*(.*?)\s*$/.exec(info) ?? [];
    return {
      page,
      line,
      language,
      ...marksIn(rest, `${page}:${line}`),
      text: body.replaceAll(RegExp(`^${indent}`, "gm"), ""),
    };
  });
}

function marksIn(text: string, place: string): Pick<Block, "run" | "marks"> {
  const marks: Record<string, string> = {};
  const bare = text.replace(/(\w+)=(?:"([^"]*)"|(\S+))/g, (_, name: string, quoted?: string, word = "") => {
    marks[name] = quoted ?? word;
    return "";
  });
  const unknown = Object.keys(marks).find((name) => !NAMES.some((each) => each === name));
  if (unknown !== undefined) throw new Error(`${place}: no test knows the mark "${unknown}="`);
  const words = bare.trim().split(/\s+/).join(" ");
  const run = RUNS.find((each) => each === words);
  // JavaScript blocks of callbacks.md have the mark of their own test.
  if (run === undefined && !["", "receiver"].includes(words))
    throw new Error(`${place}: no test knows the mark "${words}"`);
  return { marks, ...(run !== undefined && { run }) };
}

export const isShell = ({ language }: Block) => ["sh", "bash"].includes(language);

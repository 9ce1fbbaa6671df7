// Writes docs/reference/glossary.md from glossary.yaml.
import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { page, table } from "./markdown.ts";

const INTRO = `This page explains the words of the documentation, of the settings and of the program's messages, in English and Chinese.
The last column has the word of 万象优图 if there is one. Words of the source are in [Architecture](../internals/architecture.md#words).`;

export function glossaryPage(): string {
  const rows: string[][] = parse(readFileSync(new URL("./glossary.yaml", import.meta.url), "utf8"));
  return page("Glossary", INTRO, table(["word", "中文", "meaning", "万象优图"], rows));
}

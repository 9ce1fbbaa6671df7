// The pages of the documentation have short sentences, which readers of a second language understand at once.
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const MAX_WORDS = 25;
const MAX_CHINESE_CHARACTERS = 80;

/** Paragraphs, headings, list items and cells of tables, each on its own. No code, comments or targets of links. */
function textsIn(markdown: string): readonly string[] {
  const prose = markdown
    .replace(/^( *)(```|~~~)[\s\S]*?^\1\2.*$/gm, "\n")
    .replace(/<!--[\s\S]*?-->/g, "")
    .replace(/<[a-z/][^>\n]*>/g, " ")
    .replace(/`[^`\n]*`/g, "X")
    .replace(/\]\([^)]*\)/g, "]");
  const lines = prose.split("\n").map((line) => line.trim());
  const texts: string[] = [""];
  for (const line of lines) {
    const item = /^(?:>\s*)?(?:[-*]|\d+\.)\s+(.*)$/.exec(line);
    if (line.startsWith("|")) texts.push(...line.split(/(?<!\\)\|/), "");
    else if (line === "" || line.startsWith("#")) texts.push(line, "");
    else if (item !== null) texts.push(item[1] ?? "");
    else texts.push(`${texts.pop()} ${line}`.trim());
  }
  return texts.map((text) => text.trim()).filter((text) => text !== "");
}

/** A full stop ends a sentence, except before a small letter, as in `a.jpg` and "e.g. one". */
const sentencesIn = (text: string) => text.split(/(?<=[.!?][)"*_]*)\s+(?=[^\p{Ll}\s])/u);

/** A list of code counts as one word. */
const wordsIn = (sentence: string) =>
  sentence
    .replace(/X(?:,? (?:and |or )?X)+/g, "X")
    .split(/\s+/)
    .filter((word) => /[\p{L}\p{N}]/u.test(word)).length;

const chineseSentencesIn = (text: string) => text.split(/(?<=[。！？；])/u);

const pagesIn = (folder: string) =>
  readdirSync(`${ROOT}${folder}`, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".md") && !path.includes("node_modules"))
    .map((path) => `${folder}/${path}`);
const isChinese = (page: string) => page === "README.zh-CN.md" || page.startsWith("docs/zh/");
const PAGES = ["README.md", "README.zh-CN.md", "CHANGELOG.md", ...pagesIn("docs")];

function longIn(page: string): readonly string[] {
  const texts = textsIn(readFileSync(`${ROOT}${page}`, "utf8"));
  return isChinese(page)
    ? texts.flatMap(chineseSentencesIn).filter((each) => [...each].length > MAX_CHINESE_CHARACTERS)
    : texts.flatMap(sentencesIn).filter((each) => wordsIn(each) > MAX_WORDS);
}

test("textsIn() separates items and cells, and leaves out code, comments and targets of links", () => {
  const page = [
    "<!-- not this -->",
    "# Title",
    "One [link](a.md#b c) and `code with words`,",
    "on two lines.",
    "- item",
    "  goes on",
    "1. next",
    "",
    "| a \\| b | c |",
    "| --- | --- |",
    "```sh run",
    "huiyuan serve",
    "```",
  ];
  expect(textsIn(page.join("\n"))).toEqual([
    ...["# Title", "One [link] and X, on two lines.", "item goes on", "next", "a \\| b", "c", "---", "---"],
  ]);
});

test.each([
  ["One. Two! Three?", 3],
  ["See a.jpg e.g. one of 1.5 s.", 1],
  ["One (in brackets.) `X` is two.", 2],
  ["It ends.** Next one.", 2],
])("sentencesIn() splits %j", (text, count) => {
  expect(sentencesIn(text)).toHaveLength(count);
});

test("wordsIn() counts words, not signs, and a list of code once", () => {
  expect(wordsIn("one – two, X, X and X · three")).toBe(4);
});

test.each(PAGES)("every sentence of %s is short", (page) => {
  expect(longIn(page)).toEqual([]);
});

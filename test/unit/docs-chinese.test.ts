// The Chinese pages: each has the code of the English page of its name, and differs only in comments.
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const DOCS = new URL("../../docs/", import.meta.url);
const read = (page: string) => readFileSync(new URL(page, DOCS), "utf8");
const PAGES = readdirSync(new URL("zh/", DOCS), { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".md"))
  .map((path) => `zh/${path}`);
/** Pages whose English page does not have their name. */
const ENGLISH: Readonly<Record<string, string>> = {
  "zh/errors.md": "reference/errors.md",
  "zh/settings.md": "reference/settings.md",
  "zh/troubleshooting.md": "operate/troubleshooting.md",
  "../README.zh-CN.md": "../README.md",
};

/** Code blocks with their marks, without indentation and comments. */
const codeOf = (page: string) =>
  [...read(page).matchAll(/^( *)(```.*\n[\s\S]*?)^\1```$/gm)].map(([, indent = "", block = ""]) =>
    block.replaceAll(RegExp(`^${indent}`, "gm"), "").replaceAll(/(^|[ \t]+)# .*$/gm, ""),
  );

test.each([...PAGES, "../README.zh-CN.md"])("%s has the code of the English page", (page) => {
  expect(codeOf(page)).toEqual(codeOf(ENGLISH[page] ?? page.replace("zh/", "")));
});

// The Chinese pages: each has the code of the English page of its name, and differs only in comments.
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const DOCS = new URL("../../docs/", import.meta.url);
const read = (page: string) => readFileSync(new URL(page, DOCS), "utf8");
const PAGES = readdirSync(new URL("zh/", DOCS), { recursive: true, encoding: "utf8" }).filter((path) =>
  path.endsWith(".md"),
);
/** Pages that stand elsewhere in English. */
const ENGLISH: Readonly<Record<string, string>> = {
  "errors.md": "reference/errors.md",
  "troubleshooting.md": "operate/troubleshooting.md",
};

/** Code blocks with their marks, without indentation and comments. */
const codeOf = (page: string) =>
  [...read(page).matchAll(/^( *)(```.*\n[\s\S]*?)^\1```$/gm)].map(([, indent = "", block = ""]) =>
    block.replaceAll(RegExp(`^${indent}`, "gm"), "").replaceAll(/(^|[ \t]+)# .*$/gm, ""),
  );

test.each(PAGES)("docs/zh/%s has the code of the English page", (page) => {
  expect(codeOf(`zh/${page}`)).toEqual(codeOf(ENGLISH[page] ?? page));
});

// Comments of src/ and test/ keep the two rules of plain English that a program can check: their first word and their
// width.
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const MAX_COLUMNS = 120;
/** A clause without a noun: a reader must guess who acts. */
const NO_NOUN =
  /^(?:What|Of|Who(?:ever|m|se)?|Where|Those|That (?:of|which)|As (?:what|it|they|those|that)|(?:By|For|To|From) (?:what|which|who|whom|whose|those who)|(?:In|Under|With|At|After) which|None of|How)\b/;

interface CommentLine {
  readonly text: string;
  /** Characters of the whole line. */
  readonly columns: number;
  readonly isFirst: boolean;
}

/** Comments on lines of their own, and behind code. */
function commentsIn(text: string): CommentLine[] {
  const found: CommentLine[] = [];
  let isInBlock = false;
  let isBehindLine = false;
  let isBlockBlank = false;
  for (const line of text.split("\n")) {
    const columns = [...line].length;
    const own = /^\s*(\/\/|\/\*\*?|\*(?!\/))\s?(.*)$/.exec(line);
    const [, opening = "", rest = ""] = own ?? [];
    const isOwn = own !== null && (opening !== "*" || isInBlock);
    const words = rest.replace(/\*\/\s*$/, "").trim();
    const isFirst = opening === "//" ? !isBehindLine : opening !== "*" || isBlockBlank;
    if (isOwn && words !== "") found.push({ text: words, columns, isFirst });
    const behind = isOwn ? null : /[;{},)\]] \/\/ ([^"'`]*)$/.exec(line);
    if (behind !== null) found.push({ text: behind[1] ?? "", columns, isFirst: true });
    isBehindLine = isOwn && opening === "//";
    isBlockBlank = isOwn && opening !== "//" && words === "";
    isInBlock = line.includes("/*") ? !line.includes("*/") : isInBlock && !line.includes("*/");
  }
  return found;
}

const FILES = ["src", "test"].flatMap((folder) =>
  readdirSync(`${ROOT}${folder}`, { recursive: true, encoding: "utf8" })
    .filter((path) => /\.(?:ts|mjs)$/.test(path))
    .map((path) => ({
      path: `${folder}/${path}`,
      comments: commentsIn(readFileSync(`${ROOT}${folder}/${path}`, "utf8")),
    })),
);

test("commentsIn() sees every kind of comment", () => {
  const text = [
    "// one",
    "// two",
    "const a = 1; // three",
    "/** four */",
    "/**",
    " * five",
    " * six",
    " */",
    "const b = '// no';",
  ];
  const seen = commentsIn(text.join("\n")).map(({ text: words, isFirst }) => (isFirst ? words : `… ${words}`));
  expect(seen).toEqual(["one", "… two", "three", "four", "five", "… six"]);
  expect(FILES.flatMap(({ comments }) => comments).length).toBeGreaterThan(5_000);
});

test("no comment begins with a clause that has no noun", () => {
  const lines = FILES.flatMap(({ path, comments }) =>
    comments
      .filter(({ text, isFirst }) => isFirst && NO_NOUN.test(text.replace(/^`[^`]*`: /, "")))
      .map(({ text }) => `${path}: ${text}`),
  );
  expect(lines).toEqual([]);
});

test(`no comment is wider than ${MAX_COLUMNS} columns`, () => {
  const lines = FILES.flatMap(({ path, comments }) =>
    comments.filter(({ columns }) => columns > MAX_COLUMNS).map(({ text }) => `${path}: ${text}`),
  );
  expect(lines).toEqual([]);
});

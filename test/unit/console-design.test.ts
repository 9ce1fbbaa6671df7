// The design rules of the console and its style sheet know the same tokens, and pages use no others.
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const STYLE = read("src/operate/console/style.css");
const tokensIn = (text: string, pattern: RegExp) => new Set([...text.matchAll(pattern)].map(([, name = ""]) => name));
const DEFINED = tokensIn(STYLE, /^ {2}(--[\w-]+):/gm);

test("console-design.md names each token of style.css, and no other", () => {
  const named = tokensIn(read("docs/develop/console-design.md"), /`(--[\w-]+)`/g);
  expect(DEFINED.size).toBeGreaterThan(20);
  expect([...named].sort()).toEqual([...DEFINED].sort());
});

test("each token of style.css is used, and each used one is defined", () => {
  const used = tokensIn(STYLE, /var\((--[\w-]+)\)/g);
  expect([...used].sort()).toEqual([...DEFINED].sort());
});

test("colors stand in the tokens only", () => {
  const rules = STYLE.replace(/:root \{[\s\S]*?\n\}/, "");
  // The curtain behind a dialog is the same in both themes.
  const colors = rules.match(/#[0-9a-f]{3,8}\b|\b(?:rgb|hsl)\(.*\)/g);
  expect(colors).toEqual(["rgb(10 15 25 / 0.45)"]);
  const pages = readdirSync(new URL("../../src/operate/", import.meta.url), {
    recursive: true,
    encoding: "utf8",
  });
  const painted = pages.filter((path) => path.endsWith(".tsx") && /#[0-9a-f]{6}\b/.test(read(`src/operate/${path}`)));
  expect(painted).toEqual([]);
});

test("only InputField binds the text of a field, because drawing would rewrite what is typed", () => {
  const pages = readdirSync(new URL("../../src/operate/", import.meta.url), {
    recursive: true,
    encoding: "utf8",
  });
  const bound = pages
    .filter((path) => path.endsWith(".tsx"))
    .flatMap((path) => [...read(`src/operate/${path}`).matchAll(/<(?:input|textarea)\b.*?\/>/gs)].map(([tag]) => tag))
    .filter((tag) => /\bvalue=\{/.test(tag.replace(/defaultValue/g, "")) && !/type="radio"/.test(tag));
  expect(bound).toEqual([]);
});

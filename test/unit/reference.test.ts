// The generated pages of docs/reference/ and docs/zh/ are current; `npm run reference` writes them. Each error code has
// its words. test/e2e/reference-cli.test.ts compares the page of the commands.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { SECTIONS } from "../../config/reference/errors.ts";
import { PAGES } from "../../config/reference/pages.ts";
import { ERROR_CODES } from "../../src/core/errors.ts";
import { describedSchema } from "../../src/settings/described-schema.ts";
import { SETTINGS_ZH } from "../../src/settings/schema/words-zh.ts";

const pages = Object.entries(PAGES).filter(([path]) => path !== "docs/reference/cli.md");

test.each(pages)("%s is current (npm run reference)", async (path, write) => {
  expect(readFileSync(new URL(`../../${path}`, import.meta.url), "utf8")).toBe(await write());
});

test("errors.yaml has words for every error code once, and for no other", () => {
  const described = SECTIONS.flatMap(({ codes }) => Object.keys(codes));
  expect(described.toSorted()).toEqual([...ERROR_CODES].sort());
});

test("words-zh.ts has words for every setting, and for no other", () => {
  const shown = new Set<unknown>();
  JSON.stringify(describedSchema(), (key, value) => {
    if (key === "zh") shown.add(value);
    return value;
  });
  const unused = Object.values(SETTINGS_ZH).flatMap((words) => Object.values(words).filter((text) => !shown.has(text)));
  expect(unused).toEqual([]);
});

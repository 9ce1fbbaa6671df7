// The generated pages of docs/reference/ and docs/zh/ are current; `npm run reference` writes them. Each error code has
// its words. test/e2e/reference-cli.test.ts compares the page of the commands.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { SECTIONS } from "../../config/reference/errors.ts";
import { PAGES } from "../../config/reference/pages.ts";
import { eachSetting } from "../../config/reference/settings.ts";
import { ERROR_CODES } from "../../src/core/errors.ts";
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
  const unused = new Map(Object.entries(SETTINGS_ZH).map(([section, words]) => [section, new Set(Object.keys(words))]));
  const missing: string[] = [];
  eachSetting((section, key) => {
    const sections = [section, section.replace(/ \(type: \w+\)$/, "")];
    const found = sections.find((each) => SETTINGS_ZH[each]?.[key] !== undefined);
    if (found === undefined) missing.push(`${section} ${key}`);
    else unused.get(found)?.delete(key);
  });
  expect({ missing, unused: [...unused].filter(([, keys]) => keys.size > 0) }).toEqual({ missing: [], unused: [] });
});

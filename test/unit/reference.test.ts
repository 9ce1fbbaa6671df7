// The generated pages of docs/reference/ and docs/zh/ are current; `npm run reference` writes them. Each error code has
// its words. test/e2e/reference-cli.test.ts compares the page of the commands.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { SECTIONS } from "../../config/reference/errors.ts";
import { PAGES } from "../../config/reference/pages.ts";
import { ERROR_CODES } from "../../src/core/errors.ts";

const pages = Object.entries(PAGES).filter(([path]) => path !== "docs/reference/cli.md");

test.each(pages)("%s is current (npm run reference)", async (path, write) => {
  expect(readFileSync(new URL(`../../${path}`, import.meta.url), "utf8")).toBe(await write());
});

test("errors.yaml has words for every error code once, and for no other", () => {
  const described = SECTIONS.flatMap(({ codes }) => Object.keys(codes));
  expect(described.toSorted()).toEqual([...ERROR_CODES].sort());
});

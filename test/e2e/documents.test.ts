// The commands of the documentation, as written: all `run` blocks of a page in order, in an empty folder.
import { test } from "vitest";
import { blocksOf, PAGES } from "../helpers/page-blocks.ts";
import { programsOf, runPage } from "../helpers/page-run.ts";
import { needs } from "../helpers/services.ts";

const TIMEOUT_MS = 300_000;

for (const page of PAGES) {
  const blocks = blocksOf(page);
  if (blocks.every(({ run }) => run === undefined)) continue;
  test(`the commands of ${page} run as written`, { ...needs(...programsOf(blocks)), timeout: TIMEOUT_MS }, () =>
    runPage(blocks),
  );
}

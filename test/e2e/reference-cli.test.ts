// docs/reference/cli.md has the help that the built program prints; `npm run reference` writes it.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { cliPage } from "../../config/reference/cli.ts";
import { loadedHuiyuan } from "../helpers/loaded-program.ts";

test("docs/reference/cli.md is current (npm run reference)", async () => {
  const page = await cliPage(async (path) => (await loadedHuiyuan([...path, "--help"])).out);
  expect(readFileSync(new URL("../../docs/reference/cli.md", import.meta.url), "utf8")).toBe(page);
});

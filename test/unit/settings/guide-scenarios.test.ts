import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parse } from "yaml";

const read = (path: string) => readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8");
const settingsOn = (page: string) => /^```yaml file=huiyuan\.yaml\n(.*?)^```$/ms.exec(read(page))?.[1] ?? "";

test.each([1, 2, 3, 4])("docs/start/scenario-%i.md shows the settings file of the package", (number) => {
  expect(settingsOn(`docs/start/scenario-${number}.md`)).toBe(read(`config/scenario-${number}.yaml`));
});

test.each([1, 2, 3, 4])("docs/zh/start/scenario-%i.md shows these settings, with comments in Chinese", (number) => {
  const settings = settingsOn(`docs/zh/start/scenario-${number}.md`);
  expect(parse(settings)).toEqual(parse(read(`config/scenario-${number}.yaml`)));
  expect(settings).toContain("# 场景");
});

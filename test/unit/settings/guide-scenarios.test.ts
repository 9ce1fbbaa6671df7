import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const read = (path: string) => readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8");

test.each([1, 2, 3, 4])("docs/start/scenario-%i.md shows the settings file of the package", (number) => {
  const shown = /^```yaml file=huiyuan\.yaml\n(.*?)^```$/ms.exec(read(`docs/start/scenario-${number}.md`))?.[1];
  expect(shown).toBe(read(`config/scenario-${number}.yaml`));
});

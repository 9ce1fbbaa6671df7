import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parse as parseYaml } from "yaml";
import { faultsOf, withMirror } from "./parse.ts";

const GUIDE = readFileSync(new URL("../../../docs/guides/origins.md", import.meta.url), "utf8");
const EXAMPLES = [...GUIDE.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text = ""]) => text);
const SECRETS = ["ORIGIN_PASSWORD", "QINIU_SECRET_KEY", "OSS_SECRET", "COS_SECRET", "KODO_SECRET", "MINIO_SECRET"];

test("docs/guides/origins.md has examples", () => {
  expect(EXAMPLES.length).toBeGreaterThan(3);
});

test.each(EXAMPLES)("parseSettings() accepts this example of docs/guides/origins.md:\n%s", (example) => {
  const origins: unknown = parseYaml(example);
  const text = withMirror("").replace(/origins: \[.*?\]/, () => `origins: ${JSON.stringify(origins)}`);
  expect(faultsOf(text, { env: Object.fromEntries(SECRETS.map((name) => [name, "secret"])) })).toEqual([]);
});

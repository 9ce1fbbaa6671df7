import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parse as parseYaml } from "yaml";
import { faultsOf, withMirror } from "./parse.ts";

const GUIDE = readFileSync(new URL("../../../docs/guides/origins.md", import.meta.url), "utf8");
const EXAMPLES = [...GUIDE.matchAll(/```yaml in=(origin|mirror)\n([\s\S]*?)```/g)].map(([, place, text = ""]) => ({
  place,
  text,
}));
const SECRETS = ["ORIGIN_PASSWORD", "QINIU_SECRET_KEY", "OSS_SECRET", "COS_SECRET", "KODO_SECRET", "MINIO_SECRET"];

test("docs/guides/origins.md has examples", () => {
  expect(EXAMPLES.length).toBe(GUIDE.match(/```yaml/g)?.length);
  expect(EXAMPLES.length).toBeGreaterThan(3);
});

test.each(EXAMPLES)("parseSettings() accepts this example of docs/guides/origins.md:\n$text", ({ place, text }) => {
  const example = parseYaml(text);
  const origins: unknown = place === "origin" ? [example] : example.origins;
  const settings = withMirror("").replace(/origins: \[.*?\]/, () => `origins: ${JSON.stringify(origins)}`);
  expect(faultsOf(settings, { env: Object.fromEntries(SECRETS.map((name) => [name, "secret"])) })).toEqual([]);
});

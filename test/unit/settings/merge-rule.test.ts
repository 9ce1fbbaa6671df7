import { expect, test } from "vitest";
import { mergeRule } from "../../../src/settings/domains.ts";
import type { MirrorSettings } from "../../../src/settings/schema/schema.ts";
import { parse, withMirror } from "./parse.ts";

function mirrorWith(keys: string, rule: string): MirrorSettings {
  const settings = parse(withMirror(`${keys}, rules: [{ ${rule} }]`));
  const mirror = settings.projects[0]?.buckets[0]?.domains[0]?.mirror;
  const [first] = mirror?.rules ?? [];
  if (mirror === undefined || first === undefined) throw new Error("the text has a mirror with a rule");
  return mergeRule(mirror, first);
}

test("mergeRule() keeps the domain's settings that the rule leaves out", () => {
  const { rules, ...plain } = mirrorWith("negativeTtl: 5s, timeouts: { idle: 1s }", "match: { prefix: a }");
  const settings = parse(withMirror("negativeTtl: 5s, timeouts: { idle: 1s }"));
  expect({ ...plain, rules }).toEqual({
    ...settings.projects[0]?.buckets[0]?.domains[0]?.mirror,
    allowedTypes: undefined,
    objectSize: undefined,
  });
});

test("mergeRule() replaces scalars and lists, and merges mappings key by key", () => {
  const merged = mirrorWith(
    "negativeTtl: 5s, failoverOn: [5xx], timeouts: { idle: 1s, total: 20s }",
    'type: everything, negativeTtl: 7s, failoverOn: [404], timeouts: { total: 30s }, origins: [{ type: site, url: "https://other.example" }]',
  );
  expect(merged).toMatchObject({
    type: "everything",
    negativeTtl: 7_000,
    failoverOn: [404],
    timeouts: { connect: 3_000, firstByte: 10_000, idle: 1_000, total: 30_000 },
    origins: [{ url: "https://other.example" }],
  });
});

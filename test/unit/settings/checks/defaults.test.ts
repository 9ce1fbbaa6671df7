import { expect, test } from "vitest";
import { faultsOf, MINIMAL, withMirror } from "../parse.ts";

test("a setting accepts its default, in any spelling", () => {
  const mirrorKeys = [
    "type: originals, keyQuery: drop, processedMiss: local, passQuery: false, rules: []",
    "freshness: { mode: never, ttl: 24h, staleIfError: 7d, onGone: keep }",
  ];
  expect(faultsOf(withMirror(mirrorKeys.join(", ")))).toEqual([]);
  const root = "store: { type: fs }\ncoordination: { type: local }\n";
  expect(faultsOf(root + MINIMAL)).toEqual([]);
});

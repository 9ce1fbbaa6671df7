import { expect, test } from "vitest";
import { faultsOf, MINIMAL, withMirror } from "../parse.ts";

test.each([
  [`server: { workers: auto }\n${MINIMAL}`, ["server.workers"]],
  [`server: { workers: 2 }\n${MINIMAL}`, ["server.workers"]],
  [`coordination: { type: valkey, url: "redis://h" }\n${MINIMAL}`, ["coordination.type", "coordination.url"]],
])("%s is not supported yet", (text, paths) => {
  const faults = faultsOf(text);
  expect(faults.map((fault) => fault.path)).toEqual(paths);
  expect(faults[0]?.message).toContain("is not supported yet");
});

test("an unsupported setting accepts its default, in any spelling", () => {
  const mirrorKeys = [
    "type: originals, keyQuery: drop, processedMiss: local, passQuery: false, rules: []",
    "freshness: { mode: never, ttl: 24h, staleIfError: 7d, onGone: keep }",
  ];
  expect(faultsOf(withMirror(mirrorKeys.join(", ")))).toEqual([]);
  const root = "server: { workers: 1 }\nstore: { type: fs }\ncoordination: { type: local }\n";
  expect(faultsOf(root + MINIMAL)).toEqual([]);
});

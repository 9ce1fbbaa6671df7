// The record of keys that have changed since a read began.
import { expect, test } from "vitest";
import { toKey } from "../../../../../src/core/object.ts";
import { createChangedKeys } from "../../../../../src/serve/bucket/tier/bucket.ts";

const [A, B, C, D] = [toKey("a"), toKey("b"), toKey("c"), toKey("d")];

test("hasChanged() is true for a moment before the last change of the key only", () => {
  const changed = createChangedKeys();
  const before = changed.revision;
  changed.note([A, B]);
  const between = changed.revision;
  changed.note([B]);
  expect([A, B, C].map((key) => changed.hasChanged(key, before))).toEqual([true, true, false]);
  expect([A, B, C].map((key) => changed.hasChanged(key, between))).toEqual([false, true, false]);
  expect(changed.hasChanged(B, changed.revision)).toBe(false);
});

test("hasChanged() is true for every key before the oldest remembered change", () => {
  const changed = createChangedKeys(2);
  const first = changed.revision;
  changed.note([A]);
  changed.note([B]);
  const second = changed.revision;
  changed.note([A]);
  changed.note([C]);
  expect([A, B, D].map((key) => changed.hasChanged(key, first))).toEqual([true, true, true]);
  expect([A, B, C, D].map((key) => changed.hasChanged(key, second))).toEqual([true, false, true, false]);
});

import { expect, test } from "vitest";
import { createAdmissionFilter } from "../../../../../src/serve/mirror/stored/memory-cache.ts";

test("isRepeatedRead() is true the second time, and starts again then", () => {
  const isRepeatedRead = createAdmissionFilter(10);
  expect(["a", "a", "a", "a"].map((id) => isRepeatedRead(id, 1, 1))).toEqual([false, true, false, true]);
});

test("isRepeatedRead() counts the bytes read in between, and the read itself", () => {
  const isRepeatedRead = createAdmissionFilter(10);
  isRepeatedRead("a", 5, 100);
  isRepeatedRead("b", 90, 100);
  expect(isRepeatedRead("a", 11, 100)).toBe(false);
  isRepeatedRead("b", 90, 100);
  expect(isRepeatedRead("a", 10, 100)).toBe(true);
});

test("isRepeatedRead() forgets the oldest name beyond its bound", () => {
  const isRepeatedRead = createAdmissionFilter(2);
  for (const id of ["a", "b", "c"]) isRepeatedRead(id, 1, 100);
  expect(["b", "a"].map((id) => isRepeatedRead(id, 1, 100))).toEqual([true, false]);
});

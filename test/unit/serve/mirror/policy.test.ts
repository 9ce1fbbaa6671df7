// The rules of mirror/policy.ts, row by row.
import { expect, test } from "vitest";
import { type ErrorCode, HuiyuanError } from "../../../../src/core/errors.ts";
import type { FillEnd } from "../../../../src/serve/mirror/fill/fill-end.ts";
import {
  FAILURE_MS,
  isPauseForAll,
  isRemembered,
  mayServePending,
  type PolicyRules,
  pauseMs,
  revalidationKind,
  servedAfter,
  storingOf,
  withdrawalBy,
} from "../../../../src/serve/mirror/policy.ts";

const KEEP: PolicyRules = {
  freshness: { mode: "origin", ttlMs: 1_000, staleIfErrorMs: 0 },
  onGone: "keep",
  suspects: "pass",
  negativeTtlMs: 30_000,
};
const REMOVE: PolicyRules = { ...KEEP, onGone: "remove", suspects: "keep" };

const endOf = (kind: string, sha256 = "new", cacheControl?: string) =>
  ({
    kind,
    head: { answer: { life: cacheControl === undefined ? {} : { cacheControl } } },
    info: { hashes: { sha256 } },
    ...(kind !== "unstored" && { body: { hashes: { sha256 } } }),
    ...(kind === "suspect" && { damage: "structure" }),
  }) as unknown as FillEnd;
const failure = (code: ConstructorParameters<typeof HuiyuanError>[0]) => new HuiyuanError(code, "Cannot fetch");
const failed = (code: ConstructorParameters<typeof HuiyuanError>[0]) =>
  ({ kind: "failed", error: failure(code) }) as const;

test.each([
  ["a whole image", endOf("whole"), KEEP, "store"],
  ["no-store", endOf("whole", "new", "no-store"), KEEP, "pass"],
  ["private", endOf("whole", "new", "private"), KEEP, "pass"],
  ["no-store, which mode ttl ignores", endOf("whole", "new", "no-store"), { ...KEEP, freshness: undefined }, "store"],
  ["a damaged image", endOf("suspect"), KEEP, "pass"],
  ["a damaged image under suspects: keep", endOf("suspect"), REMOVE, "if-repeated"],
  ["a body that the disk refused", endOf("unstored"), REMOVE, "pass"],
  ["a failure", endOf("failed"), REMOVE, "pass"],
] as const)("storingOf() %s", (_name, end, rules, wanted) => {
  expect(storingOf(end, rules)).toBe(wanted);
});

test.each([
  ["a 404 under onGone: keep", endOf("absent"), KEEP, false, undefined],
  ["a 404 under onGone: remove", endOf("absent"), REMOVE, false, "gone"],
  ["a storable image", endOf("whole"), KEEP, false, undefined],
  ["no-store", endOf("whole", "new", "no-store"), KEEP, false, "superseded"],
  ["a return to the stored bytes", endOf("whole"), KEEP, true, "superseded"],
  ["a failure", endOf("failed"), REMOVE, false, undefined],
] as const)("withdrawalBy() %s", (_name, end, rules, isCurrent, wanted) => {
  expect(withdrawalBy(end, rules, isCurrent)).toBe(wanted);
});

test.each([
  ["304", endOf("current"), KEEP, "current"],
  ["equal bytes", endOf("whole", "old"), KEEP, "current"],
  ["equal bytes that the disk refused", endOf("unstored", "old"), KEEP, "current"],
  ["other bytes", endOf("whole"), KEEP, "new"],
  ["other bytes, damaged", endOf("suspect"), KEEP, "suspect"],
  ["404, kept", endOf("absent"), KEEP, "gone"],
  ["404, removed", endOf("absent"), REMOVE, "removed"],
  ["a failure", endOf("failed"), KEEP, "failed"],
] as const)("revalidationKind() %s", (_name, end, rules, wanted) => {
  expect(revalidationKind(end, "old", rules)).toBe(wanted);
});

test.each([
  ["current", "stored", "stored"],
  ["gone", "stored", "stored"],
  ["removed", "error", "error"],
  ["new", "new", "new"],
  ["suspect", "stored", "new"],
  ["failed", "stored", "error"],
] as const)("servedAfter() %s: %s if the stored image may be stale, else %s", (kind, young, old) => {
  expect([servedAfter(kind, true), servedAfter(kind, false)]).toEqual([young, old]);
});

test("mayServePending() serves after a 404 by onGone, after a failure by age", () => {
  expect(mayServePending("not_found", false, KEEP)).toBe(true);
  expect(mayServePending("not_found", true, REMOVE)).toBe(false);
  expect(mayServePending("origin_timeout", true, REMOVE)).toBe(true);
  expect(mayServePending("origin_timeout", false, KEEP)).toBe(false);
});

test("isRemembered() is false for failures that say nothing about the key", () => {
  const codes = ["origin_timeout", "origin_status", "store_full", "style_unknown"] as const;
  expect(codes.filter((code) => isRemembered(failure(code)))).toEqual(codes);
  const passing = [
    "overloaded",
    "draining",
    "store_failed",
    "not_kept",
    "origin_loop",
    "origin_failing",
    "origin_busy",
  ];
  expect(passing.filter((code) => isRemembered(failure(code as ErrorCode)))).toEqual([]);
});

test.each([
  ["a 404", { kind: "gone" }, 30_000, true, true],
  ["a failure", failed("origin_timeout"), 1_000, true, false],
  ["a broken image", failed("origin_not_image"), 10_000, true, false],
  ["a full disk", failed("store_full"), 10_000, false, false],
] as const)("after %s the pause is known, and ends for clients that need an answer", (_name, end, ms, young, old) => {
  expect(pauseMs(end, KEEP)).toBe(ms);
  expect([isPauseForAll(end, 0), isPauseForAll(end, FAILURE_MS)]).toEqual([young, old]);
});

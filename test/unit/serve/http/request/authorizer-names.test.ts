// The names that a token may be bound to, and that it opens only the object that it names.
import { expect, test } from "vitest";
import { HuiyuanError } from "../../../../../src/core/errors.ts";
import { type Key, toKey } from "../../../../../src/core/object.ts";
import { admitNamed, admittedByBoth } from "../../../../../src/serve/http/request/authorizer.ts";
import type { NamedObject, ProcessingRequest } from "../../../../../src/serve/http/request/object-name.ts";
import type { DownloadGrant } from "../../../../../src/serve/http/request/site.ts";
import { parseInstruction } from "../../../../../src/serve/image/grammar/grammar.ts";
import { nameRecipe } from "../../../../../src/serve/image/grammar/named-recipe.ts";

/** An authorizer whose tokens are the names of their files; an empty one is for all files. */
function authorizer() {
  const asked: string[] = [];
  return {
    asked,
    boundFile: (sign: string) => (sign === "forged" ? undefined : sign),
    admit(sign: string | undefined, key: Key) {
      asked.push(key);
      if (sign === "forged") throw new HuiyuanError("sign_mismatch", "forged");
      if (sign !== "" && sign !== key) throw new HuiyuanError("sign_scope", "bound to another");
      return { scope: { kind: "none" }, spend: undefined } as const;
    },
  };
}

function named(path: string, key = path): NamedObject {
  return {
    key: toKey(key),
    request: { path: toKey(path), query: "", instruction: undefined },
    instruction: undefined,
    route: undefined,
  };
}

const small = nameRecipe(parseInstruction("imageView2/2/w/9", { era: 2015 }));
const alias = (original: NamedObject): ProcessingRequest => ({
  named: small,
  path: original.request.path,
  original,
  suffix: "!small",
  isAlias: true,
});

test.each([
  ["", named("a"), undefined, false],
  ["a", named("a"), undefined, false],
  ["a", named("a", "a?x=1"), undefined, false],
  ["a?x=1", named("a", "a?x=1"), undefined, false],
  ["", named("a!small"), alias(named("a")), false],
  ["a!small", named("a!small"), alias(named("a")), false],
  ["a", named("a!small"), alias(named("a")), true],
  ["a?x=1", named("a!small", "a!small?x=1"), alias(named("a", "a?x=1")), true],
] as const)("admitNamed() takes a token for %j", (sign, object, wish, isForOriginal) => {
  const at = authorizer();
  expect(admitNamed(at, sign, { object, alias: wish }).isForOriginal).toBe(isForOriginal);
  expect(at.asked.length).toBe(1);
});

test.each([
  ["b", named("a"), undefined, "sign_scope"],
  ["b", named("a!small"), alias(named("a")), "sign_scope"],
  ["a", named("a!small"), undefined, "sign_scope"],
  ["forged", named("a!small"), alias(named("a")), "sign_mismatch"],
  ["forged", named("a", "a?x=1"), undefined, "sign_mismatch"],
] as const)("admitNamed() refuses a token for %j", (sign, object, wish, code) => {
  const at = authorizer();
  expect(() => admitNamed(at, sign, { object, alias: wish })).toThrow(expect.objectContaining({ code }));
  expect(at.asked).toEqual([object.request.path]);
});

const forSeconds = (expiresInSeconds: number, mode: "private" | "shared" = "private"): DownloadGrant => ({
  scope: { kind: "signed", mode, expiresInSeconds },
  spend: undefined,
});

/** A grant as the authorizer makes it, with a ledger of the test's own. */
function forOnce(spent = new Set<string>(), token = "t") {
  let paid: Promise<boolean> | undefined;
  const pay = async () => !spent.has(token) && spent.add(token).has(token);
  const spend = () => (paid ??= pay());
  return { spent, grant: { scope: { kind: "one-time" }, spend, isSpent: () => spent.has(token) } as DownloadGrant };
}

test.each<[DownloadGrant, DownloadGrant, DownloadGrant["scope"]]>([
  [{ scope: { kind: "none" }, spend: undefined }, forSeconds(9), forSeconds(9).scope],
  [forSeconds(9), { scope: { kind: "none" }, spend: undefined }, forSeconds(9).scope],
  [forSeconds(9), forSeconds(5), forSeconds(5).scope],
  [forSeconds(5), forSeconds(9), forSeconds(5).scope],
  [forSeconds(9, "shared"), forSeconds(5), forSeconds(5).scope],
  [forSeconds(9), forSeconds(5, "shared"), forSeconds(5).scope],
  [forSeconds(9, "shared"), forSeconds(5, "shared"), forSeconds(5, "shared").scope],
  [forSeconds(9), { scope: { kind: "reusable-one-time" }, spend: undefined }, { kind: "reusable-one-time" }],
  [forOnce().grant, forSeconds(9), { kind: "one-time" }],
])("admittedByBoth() has the stricter scope (%#)", (one, other, scope) => {
  expect(admittedByBoth(one, other).scope).toEqual(scope);
});

test("admittedByBoth() spends two one-time tokens, and only once for a response that restarts", async () => {
  const [image, mark] = [forOnce(), forOnce()];
  const both = admittedByBoth(image.grant, mark.grant);
  expect([both.isSpent?.(), await both.spend?.(), await both.spend?.()]).toEqual([false, true, true]);
  expect([image.spent.size, mark.spent.size, both.isSpent?.()]).toEqual([1, 1, true]);
});

test("admittedByBoth() does not spend a token if the other one is spent", async () => {
  const [image, mark] = [forOnce(), forOnce(new Set(["t"]))];
  expect(await admittedByBoth(image.grant, mark.grant).spend?.()).toBe(false);
  expect(image.spent.size).toBe(0);
});

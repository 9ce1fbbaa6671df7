// Decides which name a download's token is checked against: the URL's path, the whole key, or the original of an alias.
// Also combines the rights of two tokens, for an image with an image mark.
import type { Key } from "../../core/object.ts";
import type { TokenScope } from "../response/cache-control.ts";
import type { NamedObject } from "./object-name.ts";
import type { ProcessingRequest } from "./processing-request.ts";
import type { Admission, Authorizer } from "./site.ts";

export interface Admitting {
  readonly admission: Admission;
  /** True if the token is bound to the alias's original, so it does not cover an object of the URL's full name. */
  readonly isForOriginal: boolean;
}

/** Throws the sign_* codes. */
export function admitNamed(
  authorizer: Authorizer,
  sign: string | undefined,
  {
    object,
    alias,
  }: { readonly object: Pick<NamedObject, "key" | "request">; readonly alias?: ProcessingRequest | undefined },
): Admitting {
  const { path } = object.request;
  const own: readonly Key[] = [path, object.key];
  const originals: readonly Key[] = alias === undefined ? [] : [alias.path, alias.original.key];
  // Most URLs have one name, and the token is then read only once.
  const isOne = alias === undefined && object.key === path;
  const bound = isOne || sign === undefined ? undefined : authorizer.boundFile(sign);
  const name = bound === undefined ? undefined : [...own, ...originals].find((each) => each === bound);
  const isForOriginal = name !== undefined && !own.includes(name);
  return { admission: authorizer.admit(sign, name ?? path), isForOriginal };
}

/** The rights for an image made from two: the stricter scope counts for caches, and both one-time tokens are spent. */
export function admittedByBoth(one: Admission, other: Admission): Admission {
  const once = [one, other].filter(({ spend }) => spend !== undefined);
  const scope = stricter(one.scope, other.scope);
  if (once.length === 0) return { scope, spend: undefined };
  const isSpent = () => once.some((each) => each.isSpent?.() === true);
  let spent: Promise<boolean> | undefined;
  // If one is spent already, the other must not be spent for nothing.
  const spendAll = async () => {
    if (isSpent()) return false;
    for (const { spend } of once) if ((await spend?.()) === false) return false;
    return true;
  };
  const spend = () => {
    spent ??= spendAll();
    return spent;
  };
  return { scope, spend, isSpent };
}

const STRICTNESS: Readonly<Record<TokenScope["kind"], number>> = {
  none: 0,
  signed: 1,
  "reusable-one-time": 2,
  "one-time": 3,
};

function stricter(one: TokenScope, other: TokenScope): TokenScope {
  if (one.kind !== "signed" || other.kind !== "signed")
    return STRICTNESS[other.kind] > STRICTNESS[one.kind] ? other : one;
  return {
    kind: "signed",
    mode: one.mode === "shared" ? other.mode : one.mode,
    expiresInSeconds: Math.min(one.expiresInSeconds, other.expiresInSeconds),
  };
}

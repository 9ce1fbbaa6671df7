// Which objects a download's token may be for: the name in the URL, the whole key, or the original that an alias is for. And what
// two tokens allow together, of an image and of a mark on it.
import type { Key } from "../../core/object.ts";
import type { TokenScope } from "../response/cache-control.ts";
import type { NamedObject } from "./object-name.ts";
import type { ProcessingRequest } from "./processing-request.ts";
import type { Admission, Authorizer } from "./site.ts";

export interface Admitting {
  readonly admission: Admission;
  /** The token is for the original of the alias, and for no object that is really named like the two together. */
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
  // Most URLs have one name, and need not be asked about twice.
  const isOne = alias === undefined && object.key === path;
  const bound = isOne || sign === undefined ? undefined : authorizer.boundFile(sign);
  const name = bound === undefined ? undefined : [...own, ...originals].find((each) => each === bound);
  const isForOriginal = name !== undefined && !own.includes(name);
  return { admission: authorizer.admit(sign, name ?? path), isForOriginal };
}

/** What is made of two images goes out under both tokens: caches heed the stricter, and each that works once is spent. */
export function admittedByBoth(one: Admission, other: Admission): Admission {
  const once = [one, other].filter(({ spend }) => spend !== undefined);
  const scope = stricter(one.scope, other.scope);
  if (once.length === 0) return { scope, spend: undefined };
  const isSpent = () => once.some((each) => each.isSpent?.() === true);
  let spent: Promise<boolean> | undefined;
  // One that is spent already does not take the other with it.
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

// What caches are told about an answer. Pure.

/** Under which token an answer is given. */
export type TokenScope =
  | { readonly kind: "none" }
  /** `shared`: a CDN that checks tokens itself may keep the answer. */
  | { readonly kind: "signed"; readonly mode: "private" | "shared"; readonly expiresInSeconds: number }
  | { readonly kind: "reusable-one-time" }
  | { readonly kind: "one-time" };

/** `filling`: its end is not proven. `suspect`: known to be damaged. */
export type AnswerState = "stored" | "filling" | "suspect";

const MAX_UNPROVEN_SECONDS = 60;

/** The Cache-Control of a 2xx or 304. `bucket`: the bucket's own text. */
export function cacheControlFor(bucket: string, scope: TokenScope, state: AnswerState): string {
  if (state === "suspect" || scope.kind === "one-time") return "no-store";
  if (scope.kind === "reusable-one-time") return "private, no-cache";
  const limit = state === "filling" ? MAX_UNPROVEN_SECONDS : Number.POSITIVE_INFINITY;
  if (scope.kind === "none") return limit === Number.POSITIVE_INFINITY ? bucket : withLimit(bucket, limit, false);
  return withLimit(bucket, Math.max(0, Math.min(limit, scope.expiresInSeconds)), scope.mode === "private");
}

/** Every lifetime is at most `limit`; `isPrivate` turns `public` and `s-maxage`, which are for shared caches, away. */
function withLimit(bucket: string, limit: number, isPrivate: boolean): string {
  const kept: string[] = isPrivate ? ["private"] : [];
  let hasLife = false;
  for (const directive of bucket.split(",").map((part) => part.trim())) {
    const [, name = "", value = ""] = /^([\w-]+)(?:\s*=\s*"?(\d+)"?)?/.exec(directive) ?? [];
    const word = name.toLowerCase();
    if (word === "" || (isPrivate && ["public", "private", "s-maxage"].includes(word))) continue;
    // Promises about later than the limit cannot be kept.
    if (word === "immutable" || word.startsWith("stale-")) continue;
    const isLife = word === "max-age" || word === "s-maxage";
    if (isLife && value === "") continue;
    hasLife ||= isLife || word === "no-store" || word === "no-cache";
    kept.push(isLife ? `${word}=${Math.min(Number(value), limit)}` : directive);
  }
  // Without a lifetime a cache may invent one that is longer.
  if (!hasLife) kept.push(`max-age=${limit}`);
  return kept.join(", ");
}

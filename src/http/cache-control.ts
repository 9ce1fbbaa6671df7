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

// A name, and perhaps a value, which may hold commas where it is in quotes.
const DIRECTIVE = /([\w-]+)(?:\s*=\s*(?:"([^"]*)"|([^\s,"]*)))?/g;

/** Every lifetime is at most `limit`; `isPrivate` turns `public` and `s-maxage`, which are for shared caches, away. */
function withLimit(bucket: string, limit: number, isPrivate: boolean): string {
  const kept: string[] = isPrivate ? ["private"] : [];
  let hasLife = false;
  for (const [directive, name = "", quoted, bare] of bucket.matchAll(DIRECTIVE)) {
    const word = name.toLowerCase();
    if (isPrivate && ["public", "private", "s-maxage"].includes(word)) continue;
    // Promises about later than the limit cannot be kept.
    if (word === "immutable" || word.startsWith("stale-")) continue;
    const value = quoted ?? bare;
    const isLife = word === "max-age" || word === "s-maxage";
    if (isLife && !/^\d+$/.test(value ?? "")) continue;
    // A browser does not read s-maxage, and `no-cache="set-cookie"` speaks of one header only.
    hasLife ||= word === "max-age" || (value === undefined && (word === "no-store" || word === "no-cache"));
    kept.push(isLife ? `${word}=${Math.min(Number(value), limit)}` : directive);
  }
  // Without a lifetime a cache may invent one that is longer.
  if (!hasLife) kept.push(`max-age=${limit}`);
  return kept.join(", ");
}

// Makes the Cache-Control of a response. Lifetimes count from now on: no `Age` is sent, because nginx ignores it. Pure.
import type { RemainingLife } from "../../mirror/freshness/freshness.ts";
import type { AnswerState, CacheControl } from "../request/site.ts";

/** The remaining lifetime of an image made from two; undefined if neither becomes stale. */
export function shorterLife(
  one: RemainingLife | undefined,
  other: RemainingLife | undefined,
): RemainingLife | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return other.leftSeconds < one.leftSeconds ? other : one;
}

const NO_STORE: ReadonlySet<AnswerState> = new Set(["suspect", "not-storable", "stand-in"]);
const MAX_UNPROVEN_SECONDS = 60;

/** `bucket`: the bucket's `cacheControl`. */
export function createCacheControl(bucket: string): CacheControl {
  const open = readTemplate(bucket, false);
  const closed = readTemplate(bucket, true);
  return (scope, state, life) => {
    if (NO_STORE.has(state) || scope.kind === "one-time") return "no-store";
    if (scope.kind === "reusable-one-time") return "private, no-cache";
    if (scope.kind === "none" && state === "stored" && life === undefined) return bucket;
    const unproven = state === "filling" ? MAX_UNPROVEN_SECONDS : Number.POSITIVE_INFINITY;
    const limit = Math.min(unproven, life?.leftSeconds ?? Number.POSITIVE_INFINITY);
    if (scope.kind === "none") return withLimit(open, limit);
    return withLimit(scope.mode === "private" ? closed : open, Math.min(limit, scope.expiresInSeconds));
  };
}

/** The directives in order. A lifetime is its name with `=` and the seconds that the bucket sets. */
type Template = readonly (string | { readonly before: string; readonly seconds: number })[];

// A name, optionally with a value, which may contain commas if it is in quotes.
const DIRECTIVE = /([\w-]+)(?:\s*=\s*(?:"([^"]*)"|([^\s,"]*)))?/g;

/** `isPrivate`: drops `public` and `s-maxage`, which are for shared caches. */
function readTemplate(bucket: string, isPrivate: boolean): Template {
  const kept: Template[number][] = isPrivate ? ["private"] : [];
  let hasLife = false;
  for (const [directive, name = "", quoted, bare] of bucket.matchAll(DIRECTIVE)) {
    const word = name.toLowerCase();
    if (isPrivate && ["public", "private", "s-maxage"].includes(word)) continue;
    // These make promises about the time after the limit.
    if (word === "immutable" || word.startsWith("stale-")) continue;
    const value = quoted ?? bare;
    const isLife = word === "max-age" || word === "s-maxage";
    if (isLife && !/^\d+$/.test(value ?? "")) continue;
    // Browsers ignore s-maxage, and `no-cache="set-cookie"` concerns a single header.
    hasLife ||= word === "max-age" || (value === undefined && (word === "no-store" || word === "no-cache"));
    kept.push(isLife ? { before: `${word}=`, seconds: Number(value) } : directive);
  }
  // Without a lifetime a cache may assume one that is longer.
  if (!hasLife) kept.push({ before: "max-age=", seconds: Number.POSITIVE_INFINITY });
  return kept;
}

/** Caps every lifetime at `limit` seconds; a negative limit counts as 0. */
function withLimit(template: Template, limit: number): string {
  let text = "";
  for (const part of template) {
    if (text !== "") text += ", ";
    text += typeof part === "string" ? part : part.before + Math.max(0, Math.min(part.seconds, limit));
  }
  return text;
}

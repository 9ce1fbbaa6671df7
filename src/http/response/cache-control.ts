// What caches are told about an answer. Pure.

/** Under which token an answer is given. */
export type TokenScope =
  | { readonly kind: "none" }
  /** `shared`: a CDN that checks tokens itself may keep the answer. */
  | { readonly kind: "signed"; readonly mode: "private" | "shared"; readonly expiresInSeconds: number }
  | { readonly kind: "reusable-one-time" }
  | { readonly kind: "one-time" };

/**
 * `filling`: its end is not proven, or not that it is what the store has. `suspect`: known to be damaged. `unkept`: the origin forbids to keep it. `stand-in`: shown for
 * what could not be made now, and may be soon.
 */
export type AnswerState = "stored" | "filling" | "suspect" | "not-storable" | "stand-in";

/** Says how long an image may still be served as it is. It counts from now: nginx ignores `Age`, so none is sent. */
export interface AnswerLife {
  /** Whole seconds, rounded down; below 0 if the image is stale. */
  readonly leftSeconds: number;
}

/** Of what is made of both; undefined: it does not age. */
export function shorterLife(one: AnswerLife | undefined, other: AnswerLife | undefined): AnswerLife | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return other.leftSeconds < one.leftSeconds ? other : one;
}

const NO_STORE: ReadonlySet<AnswerState> = new Set(["suspect", "not-storable", "stand-in"]);
const MAX_UNPROVEN_SECONDS = 60;

/** Says the Cache-Control of a 2xx or 304. No lifetime ends after `life`; undefined: it does not age. */
export type CacheControl = (scope: TokenScope, state: AnswerState, life?: AnswerLife) => string;

/** `bucket`: the bucket's own text, read once. */
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

/** Directives as they are sent; a lifetime is a text and the seconds that the bucket gives it. */
type Template = readonly (string | { readonly before: string; readonly seconds: number })[];

// A name, and perhaps a value, which may hold commas where it is in quotes.
const DIRECTIVE = /([\w-]+)(?:\s*=\s*(?:"([^"]*)"|([^\s,"]*)))?/g;

/** `isPrivate` turns `public` and `s-maxage`, which are for shared caches, away. */
function readTemplate(bucket: string, isPrivate: boolean): Template {
  const kept: Template[number][] = isPrivate ? ["private"] : [];
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
    kept.push(isLife ? { before: `${word}=`, seconds: Number(value) } : directive);
  }
  // Without a lifetime a cache may invent one that is longer.
  if (!hasLife) kept.push({ before: "max-age=", seconds: Number.POSITIVE_INFINITY });
  return kept;
}

/** Every lifetime is at most `limit` seconds; below 0 counts as 0. */
function withLimit(template: Template, limit: number): string {
  let text = "";
  for (const part of template) {
    if (text !== "") text += ", ";
    text += typeof part === "string" ? part : part.before + Math.max(0, Math.min(part.seconds, limit));
  }
  return text;
}

// How long a stored object is served before its origin is asked again, and what it may still be used for afterwards.
// Pure: no clock, no I/O; refresh.ts acts on it. Reading RFC 9111 headers is left to http-cache-semantics.
import CachePolicy from "http-cache-semantics";
import { parseHttpDate } from "../../core/http-date.ts";
import type { DeclaredLife, ObjectInfo, Validation } from "../../core/object.ts";

/**
 * `ttl`: so long after the origin last confirmed the object, whatever its headers say. `origin`: as its headers say, and
 * `ttlMs` where they say nothing.
 */
export interface FreshnessRules {
  readonly mode: "ttl" | "origin";
  readonly ttlMs: number;
  /** How long after that the object still helps out. */
  readonly staleIfErrorMs: number;
}

/** The four ages of an object; all are Unix milliseconds and none lies before the one above it. */
export interface Life {
  /** The origin made its answer then: it is the time of the answer, less the answer's `Age`. */
  readonly generatedAt: number;
  /** Until then it is served as it is. */
  readonly freshUntil: number;
  /** Until then it is served at once while the origin is asked behind the client's back. */
  readonly staleWhileRevalidateUntil: number;
  /** Until then it is served where the origin, asked first, gives nothing better. */
  readonly staleIfErrorUntil: number;
}

/** Says how much of a life is left. */
export interface RemainingLife {
  /** Whole seconds, rounded down; below 0 if the object is stale. */
  readonly leftSeconds: number;
}

/** `must-revalidate`: without the origin's word there is no answer. */
export type Freshness = "fresh" | "stale" | "revalidate-first" | "must-revalidate";

/** The lives of stored objects, reckoned once for each description. Undefined: no mirror brought it, so it never ages. */
export function createLives(rules: FreshnessRules): (info: ObjectInfo) => Life | undefined {
  const lives = new WeakMap<ObjectInfo, Life>();
  return (info) => {
    if (info.provenance.via !== "mirror") return undefined;
    const known = lives.get(info);
    if (known !== undefined) return known;
    const { validated, fetchedAt } = info.provenance;
    const life = computeLife(validated ?? { at: fetchedAt, life: {} }, rules);
    lives.set(info, life);
    return life;
  };
}

/** What the origin's word of time `at` is worth. */
export function computeLife({ at, life }: Validation, rules: FreshnessRules): Life {
  if (rules.mode === "ttl") {
    const freshUntil = at + rules.ttlMs;
    const staleIfErrorUntil = freshUntil + rules.staleIfErrorMs;
    return { generatedAt: at, freshUntil, staleWhileRevalidateUntil: staleIfErrorUntil, staleIfErrorUntil };
  }
  const declared = readDeclared(life, at);
  const generatedAt = at - declared.ageMs;
  const freshUntil = Math.max(generatedAt, generatedAt + (declared.lifetimeMs ?? rules.ttlMs));
  if (declared.forbidsStale)
    return { generatedAt, freshUntil, staleWhileRevalidateUntil: freshUntil, staleIfErrorUntil: freshUntil };
  const staleWhileRevalidateUntil = freshUntil + (declared.staleWhileRevalidateMs ?? rules.staleIfErrorMs);
  const staleIfErrorUntil = Math.max(
    staleWhileRevalidateUntil,
    freshUntil + (declared.staleIfErrorMs ?? rules.staleIfErrorMs),
  );
  return { generatedAt, freshUntil, staleWhileRevalidateUntil, staleIfErrorUntil };
}

/** Clocks are set right by less than this now and then. */
const SKEW_MS = 60_000;

/** Nothing is known of a life that has not begun: it was told while the clock was ahead, and would be a long one. */
function isToCome({ generatedAt }: Life, now: number): boolean {
  return now < generatedAt - SKEW_MS;
}

/** Whether it is served as it is. */
export function isFreshAt(life: Life, now: number): boolean {
  return now < life.freshUntil && !isToCome(life, now);
}

/** `isPurged`: an operator wants it asked for again; the last good copy helps out, but is not served unasked. */
export function freshnessOf(life: Life, now: number, isPurged: boolean): Freshness {
  if (now >= life.staleIfErrorUntil) return "must-revalidate";
  if (isPurged || now >= life.staleWhileRevalidateUntil || isToCome(life, now)) return "revalidate-first";
  return now < life.freshUntil ? "fresh" : "stale";
}

/** `isPurged`: nothing is left. */
export function remainingLife(life: Life, now: number, isPurged: boolean): RemainingLife {
  const left = Math.floor((life.freshUntil - now) / 1_000);
  // An object is stale in the very millisecond in which its life ends (standingOf).
  const leftSeconds = now < life.freshUntil ? left : Math.min(-1, left);
  return { leftSeconds: isPurged || isToCome(life, now) ? Math.min(leftSeconds, 0) : leftSeconds };
}

/** False where the origin is heeded and lets no shared cache keep its answer (RFC 9111 §3: `no-store`, `private`). */
export function mayBeStored(life: DeclaredLife, rules: FreshnessRules | undefined): boolean {
  return rules?.mode !== "origin" || readPolicy(life, 0).storable();
}

/**
 * What a 304 leaves known: it speaks for the stored headers that it does not repeat (RFC 9111 §3.2), but for those that
 * are of its own moment.
 */
export function confirmedLife(stored: DeclaredLife, confirmed: DeclaredLife): DeclaredLife {
  const { date: _date, age: _age, ...lasting } = stored;
  return { ...lasting, ...confirmed };
}

interface Declared {
  readonly ageMs: number;
  /** Undefined: nothing is said. */
  readonly lifetimeMs: number | undefined;
  readonly staleWhileRevalidateMs: number | undefined;
  readonly staleIfErrorMs: number | undefined;
  readonly forbidsStale: boolean;
}

// RFC 9111 §1.2.2: larger numbers may be taken for this one.
const MAX_SECONDS = 2_147_483_648;

function readDeclared(life: DeclaredLife, at: number): Declared {
  const policy = readPolicy(life, at);
  const { rescc } = policy.toObject();
  const has = (name: string) => Object.hasOwn(rescc, name);
  const milliseconds = (name: string) => (has(name) ? secondsToMs(Number.parseInt(rescc[name] ?? "", 10)) : undefined);
  const isUnusable = !policy.storable() || has("no-cache");
  const isExplicit = isUnusable || has("s-maxage") || has("max-age") || life.expires !== undefined;
  const staleWhileRevalidateMs = milliseconds("stale-while-revalidate");
  const staleIfErrorMs = milliseconds("stale-if-error");
  // s-maxage forbids too (§5.2.2.10), but who adds a window to it has said what is wanted.
  const hasWindow = staleWhileRevalidateMs !== undefined || staleIfErrorMs !== undefined;
  return {
    ageMs: secondsToMs(Number.parseInt(life.age ?? "0", 10)),
    // Not timeToLive(), which counts the stale windows in.
    lifetimeMs: isExplicit ? secondsToMs(policy.maxAge()) : undefined,
    staleWhileRevalidateMs: has("s-maxage") ? (staleWhileRevalidateMs ?? 0) : staleWhileRevalidateMs,
    staleIfErrorMs: has("s-maxage") ? (staleIfErrorMs ?? 0) : staleIfErrorMs,
    forbidsStale:
      isUnusable ||
      has("must-revalidate") ||
      (life.cacheControl ?? "").search(PROXY_REVALIDATE) !== -1 ||
      (has("s-maxage") && !hasWindow),
  };
}

function secondsToMs(seconds: number): number {
  return Number.isNaN(seconds) ? 0 : Math.round(Math.min(Math.max(seconds, 0), MAX_SECONDS) * 1_000);
}

// With a list of fields these speak of headers only, none of which is kept.
const QUALIFIED = /(?<![\w-])(?:no-cache|private)\s*=\s*"[^"]*"/g;
// The library takes it for a lifetime of nothing, though it only forbids to serve stale (§5.2.2.8).
const PROXY_REVALIDATE = /(?<![\w-])proxy-revalidate(?![\w-])/gi;

function readPolicy({ cacheControl, expires, date }: DeclaredLife, at: number): CachePolicy {
  const headers: Record<string, string> = {};
  // Directives have no case (§5.2), which the library overlooks.
  const directives = cacheControl?.toLowerCase().replaceAll(QUALIFIED, "").replaceAll(PROXY_REVALIDATE, "");
  if (directives !== undefined) headers["cache-control"] = directives;
  if (expires !== undefined) headers.expires = expires;
  // Expires counts from it, and the library would take the real clock instead.
  headers.date = date !== undefined && parseHttpDate(date, at) !== undefined ? date : new Date(at).toUTCString();
  const options = { shared: true, cacheHeuristic: 0, immutableMinTimeToLive: 0 };
  return new CachePolicy({ headers: {} }, { status: 200, headers }, options);
}

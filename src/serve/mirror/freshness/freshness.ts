// The freshness rules: how long a stored object is served without revalidation, and how long it may be served stale.
// No I/O, and the clock is an argument; revalidation.ts acts on it. http-cache-semantics reads the RFC 9111 headers.
import CachePolicy from "http-cache-semantics";
import { parseHttpDate } from "../../../core/http-date.ts";
import type { DeclaredLife, ObjectInfo, Validation } from "../../../core/object.ts";
import type { FillHead } from "../fill/fill-end.ts";

/**
 * `ttl`: fresh for `ttlMs` after the origin last confirmed the object, whatever its headers say. `origin`: fresh as
 * long as the headers say, or for `ttlMs` if they say nothing.
 */
export interface FreshnessRules {
  readonly mode: "ttl" | "origin";
  readonly ttlMs: number;
  /** After that a stale object may still be served for this time if the origin fails. */
  readonly staleIfErrorMs: number;
}

/** Four points of an object's life; Unix milliseconds, each at or after the one above it. */
export interface Life {
  /** When the origin generated its answer: the time of the answer, less the answer's `Age`. */
  readonly generatedAt: number;
  /** Until then the object is served without revalidation. */
  readonly freshUntil: number;
  /** Until then it is served at once, and revalidated in the background. */
  readonly staleWhileRevalidateUntil: number;
  /** Until then it is served if a revalidation finds nothing better. */
  readonly staleIfErrorUntil: number;
}

/** The rest of a life. */
export interface RemainingLife {
  /** Whole seconds, rounded down; below 0 if the object is stale. */
  readonly leftSeconds: number;
}

/**
 * `stale`: serve it, and revalidate in the background. `revalidate-first`: serve it only after a revalidation, also a
 * failed one. `must-revalidate`: never serve it without the origin's confirmation.
 */
export type Freshness = "fresh" | "stale" | "revalidate-first" | "must-revalidate";

/**
 * Returns the lives of stored objects, each computed once. Undefined: no mirror fetched the object, so it is always
 * fresh.
 */
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

/** The life that follows from the origin's answer of time `at`. */
export function computeLife({ at, life }: Validation, rules: FreshnessRules): Life {
  if (rules.mode === "ttl") {
    const freshUntil = at + rules.ttlMs;
    const staleIfErrorUntil = freshUntil + rules.staleIfErrorMs;
    return { generatedAt: at, freshUntil, staleWhileRevalidateUntil: staleIfErrorUntil, staleIfErrorUntil };
  }
  const declared = readDeclared(life, at);
  const generatedAt = at - declared.ageMs;
  const freshUntil = Math.max(generatedAt, generatedAt + (declared.lifetimeMs ?? rules.ttlMs));
  const staleWhileRevalidateUntil = freshUntil + (declared.staleWhileRevalidateMs ?? rules.staleIfErrorMs);
  const staleIfErrorUntil = Math.max(
    staleWhileRevalidateUntil,
    freshUntil + (declared.staleIfErrorMs ?? rules.staleIfErrorMs),
  );
  return { generatedAt, freshUntil, staleWhileRevalidateUntil, staleIfErrorUntil };
}

/** Clock corrections smaller than this are normal. */
const SKEW_MS = 60_000;

/** A life that begins in the future was recorded while the clock was ahead; used as it is, it would be too long. */
function isInFuture({ generatedAt }: Life, now: number): boolean {
  return now < generatedAt - SKEW_MS;
}

/** Whether the object is served without revalidation. */
export function isFreshAt(life: Life, now: number): boolean {
  return now < life.freshUntil && !isInFuture(life, now);
}

/** `isPurged`: an operator requires a revalidation; the last good copy is served only if that finds nothing better. */
export function freshnessOf(life: Life, now: number, isPurged: boolean): Freshness {
  if (now >= life.staleIfErrorUntil) return "must-revalidate";
  if (isPurged || now >= life.staleWhileRevalidateUntil || isInFuture(life, now)) return "revalidate-first";
  return now < life.freshUntil ? "fresh" : "stale";
}

/** `isPurged`: no life is left. */
export function remainingLife(life: Life, now: number, isPurged: boolean): RemainingLife {
  const left = Math.floor((life.freshUntil - now) / 1_000);
  // An object is stale from the millisecond in which its life ends, as in freshnessOf().
  const leftSeconds = now < life.freshUntil ? left : Math.min(-1, left);
  return { leftSeconds: isPurged || isInFuture(life, now) ? Math.min(leftSeconds, 0) : leftSeconds };
}

/**
 * False in mode `origin` if no shared cache may store the answer (RFC 9111 §3: `no-store`, `private`). The image is
 * served all the same.
 */
export function mayBeStored(life: DeclaredLife, rules: FreshnessRules | undefined): boolean {
  return rules?.mode !== "origin" || readPolicy(life, 0).storable();
}

/**
 * The declared life after a 304: it confirms the stored headers that it does not repeat (RFC 9111 §3.2), except Date
 * and Age, which belong to one answer only.
 */
export function confirmedLife(stored: DeclaredLife, confirmed: DeclaredLife): DeclaredLife {
  const { date: _date, age: _age, ...lasting } = stored;
  return { ...lasting, ...confirmed };
}

// RFC 9111 §1.2.2: larger numbers may be treated as this one.
const MAX_SECONDS = 2_147_483_648;

function readDeclared(life: DeclaredLife, at: number) {
  const policy = readPolicy(life, at);
  const { rescc } = policy.toObject();
  const has = (name: string) => Object.hasOwn(rescc, name);
  const isUnusable = !policy.storable() || has("no-cache");
  const isExplicit = isUnusable || has("s-maxage") || has("max-age") || life.expires !== undefined;
  const forbidsStale =
    isUnusable || has("must-revalidate") || (life.cacheControl ?? "").search(PROXY_REVALIDATE) !== -1;
  const windowMs = (name: string) => {
    if (forbidsStale) return 0;
    if (has(name)) return secondsToMs(Number.parseInt(rescc[name] ?? "", 10));
    // s-maxage forbids stale answers too (§5.2.2.10), but a window beside it shows that the origin allows them.
    return has("s-maxage") ? 0 : undefined;
  };
  return {
    ageMs: secondsToMs(Number.parseInt(life.age ?? "0", 10)),
    // Undefined: the headers say nothing. Not timeToLive(), which includes the stale windows.
    lifetimeMs: isExplicit ? secondsToMs(policy.maxAge()) : undefined,
    staleWhileRevalidateMs: windowMs("stale-while-revalidate"),
    staleIfErrorMs: windowMs("stale-if-error"),
  };
}

function secondsToMs(seconds: number): number {
  return Number.isNaN(seconds) ? 0 : Math.round(Math.min(Math.max(seconds, 0), MAX_SECONDS) * 1_000);
}

// With a list of names these directives restrict only those headers, none of which is stored.
const QUALIFIED = /(?<![\w-])(?:no-cache|private)\s*=\s*"[^"]*"/g;
// The library treats it as a lifetime of zero, though it only forbids stale answers (§5.2.2.8).
const PROXY_REVALIDATE = /(?<![\w-])proxy-revalidate(?![\w-])/gi;

function readPolicy({ cacheControl, expires, date }: DeclaredLife, at: number): CachePolicy {
  const headers: Record<string, string> = {};
  // Directives are case-insensitive (§5.2), which the library ignores.
  const directives = cacheControl?.toLowerCase().replaceAll(QUALIFIED, "").replaceAll(PROXY_REVALIDATE, "");
  if (directives !== undefined) headers["cache-control"] = directives;
  if (expires !== undefined) headers.expires = expires;
  // Expires counts from Date; without one the library would use the real clock.
  headers.date = date !== undefined && parseHttpDate(date, at) !== undefined ? date : new Date(at).toUTCString();
  const options = { shared: true, cacheHeuristic: 0, immutableMinTimeToLive: 0 };
  return new CachePolicy({ headers: {} }, { status: 200, headers }, options);
}

// The rules applied to stored objects now.

/** As StoredObject. */
interface Aging {
  readonly info: ObjectInfo;
  readonly isStale: boolean;
}

export interface Ages {
  /**
   * For the hot path: whether an object in memory may be served without revalidation. Undefined: always (`freshness:
   * never`).
   */
  readonly isFresh: ((info: ObjectInfo) => boolean) | undefined;
  /** Whether a stored object may be served now. */
  freshnessOf(object: Aging): Freshness;
  /**
   * The remaining life of a stored object; undefined: it never becomes stale. A purged object has none left, whatever
   * the rules.
   */
  lifeOf(object: Aging): RemainingLife | undefined;
  /** The same for an answer that is not stored yet. */
  lifeOfAnswer(answered: Pick<FillHead, "answer" | "requestedAt">): RemainingLife | undefined;
}

/** For purged objects under `freshness: never`: a life without an end. */
const endlessLife = createLives({ mode: "ttl", ttlMs: Number.POSITIVE_INFINITY, staleIfErrorMs: 0 });

/** `rules`: undefined for `never`. `now`: Unix milliseconds. `confirmation`: see revalidation-effects.ts. */
export function createAges(
  rules: FreshnessRules | undefined,
  now: () => number,
  confirmation: (info: ObjectInfo) => Validation | undefined,
): Ages {
  const lives = rules && createLives(rules);

  function storedLife({ info, isStale }: Aging): Life | undefined {
    const life = lives === undefined && isStale ? endlessLife(info) : lives?.(info);
    if (life === undefined || rules === undefined || isStale) return life;
    const newest = confirmation(info);
    return newest === undefined ? life : computeLife(newest, rules);
  }

  function isFresh(info: ObjectInfo): boolean {
    const life = lives?.(info);
    return life === undefined || isFreshAt(life, now());
  }

  return {
    isFresh: lives && isFresh,
    freshnessOf(object) {
      if (object.info.provenance.via !== "mirror") return "fresh";
      const life = storedLife(object);
      return life === undefined ? "fresh" : freshnessOf(life, now(), object.isStale);
    },
    lifeOf(object) {
      const life = storedLife(object);
      return life && remainingLife(life, now(), object.isStale);
    },
    lifeOfAnswer({ answer, requestedAt }) {
      return rules && remainingLife(computeLife({ at: requestedAt, life: answer.life }, rules), now(), false);
    },
  };
}

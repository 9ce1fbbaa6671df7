// The freshness of a mirror's objects now: applies the rules of freshness.ts and the clock to stored objects, and to
// answers that are not stored yet. It sends no request.
import type { ObjectInfo, Validation } from "../../core/object.ts";
import type { FillHead } from "../fill/fill-end.ts";
import type { StoredObject } from "../stored/stored.ts";
import {
  computeLife,
  createLives,
  type Freshness,
  type FreshnessRules,
  freshnessOf,
  isFreshAt,
  type Life,
  type RemainingLife,
  remainingLife,
} from "./freshness.ts";

/** An answer and, as in FillHead, when it was requested. */
export type AnsweredAt = Pick<FillHead, "answer" | "requestedAt">;

type Aging = Pick<StoredObject, "info" | "isStale">;

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
  lifeOfAnswer(answered: AnsweredAt): RemainingLife | undefined;
}

export interface AgesParts {
  /** Undefined: `never`. */
  readonly rules: FreshnessRules | undefined;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** As in RevalidationEffects. */
  readonly confirmation: (info: ObjectInfo) => Validation | undefined;
}

/** For purged objects under `freshness: never`: a life without an end. */
const endlessLife = createLives({ mode: "ttl", ttlMs: Number.POSITIVE_INFINITY, staleIfErrorMs: 0 });

export function createAges({ rules, now, confirmation }: AgesParts): Ages {
  const lives = rules === undefined ? undefined : createLives(rules);

  function lifeOf({ info, isStale }: Aging): Life | undefined {
    const life = lives === undefined && isStale ? endlessLife(info) : lives?.(info);
    if (life === undefined || rules === undefined || isStale) return life;
    const newest = confirmation(info);
    return newest === undefined ? life : computeLife(newest, rules);
  }

  function lifeOfAnswer({ answer, requestedAt }: AnsweredAt): Life | undefined {
    return rules === undefined ? undefined : computeLife({ at: requestedAt, life: answer.life }, rules);
  }

  function isFresh(info: ObjectInfo): boolean {
    const life = lives?.(info);
    return life === undefined || isFreshAt(life, now());
  }

  return {
    isFresh: lives && isFresh,
    freshnessOf(object) {
      if (object.info.provenance.via !== "mirror") return "fresh";
      const life = lifeOf(object);
      return life === undefined ? "fresh" : freshnessOf(life, now(), object.isStale);
    },
    lifeOf(object) {
      const life = lifeOf(object);
      return life === undefined ? undefined : remainingLife(life, now(), object.isStale);
    },
    lifeOfAnswer(answered) {
      const life = lifeOfAnswer(answered);
      return life === undefined ? undefined : remainingLife(life, now(), false);
    },
  };
}

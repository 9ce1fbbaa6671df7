// How old what a mirror has is now, by freshness.ts and the clock: what is stored, and answers that are not stored yet.
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

/** `requestedAt`: as in FillHead. */
export type AnsweredAt = Pick<FillHead, "answer" | "requestedAt">;

type Aging = Pick<StoredObject, "info" | "isStale">;

export interface Ages {
  /** For the hot path: whether what is in memory may be served as it is. Undefined: all may (`freshness: never`). */
  readonly isFresh: ((info: ObjectInfo) => boolean) | undefined;
  /** What is to be done with a stored object now. */
  freshnessOf(object: Aging): Freshness;
  /** What is told of a stored object's life; undefined: it does not age. What is purged has nothing left, whatever the rules. */
  lifeOf(object: Aging): RemainingLife | undefined;
  /** The same of an answer that is not stored yet. */
  lifeOfAnswer(answered: AnsweredAt): RemainingLife | undefined;
  /** Whether such an answer may still be passed on without asking again. */
  isFreshAnswer(answered: AnsweredAt): boolean;
}

export interface AgesParts {
  /** Undefined: `never`. */
  readonly rules: FreshnessRules | undefined;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** As in RefreshEffects. */
  readonly confirmation: (info: ObjectInfo) => Validation | undefined;
}

/** The life of a purged object under `never` has no end. */
const livesForGood = createLives({ mode: "ttl", ttlMs: Number.POSITIVE_INFINITY, staleIfErrorMs: 0 });

export function createAges({ rules, now, confirmation }: AgesParts): Ages {
  const lives = rules === undefined ? undefined : createLives(rules);

  function lifeOf({ info, isStale }: Aging): Life | undefined {
    const life = lives === undefined && isStale ? livesForGood(info) : lives?.(info);
    if (life === undefined || rules === undefined || isStale) return life;
    const newest = confirmation(info);
    return newest === undefined ? life : computeLife(newest, rules);
  }

  function lifeOfAnswer({ answer, requestedAt }: AnsweredAt): Life | undefined {
    return rules === undefined ? undefined : computeLife({ at: requestedAt, life: answer.life }, rules);
  }

  const isYoungNow = (life: Life | undefined) => life === undefined || isFreshAt(life, now());

  return {
    isFresh: lives === undefined ? undefined : (info) => isYoungNow(lives(info)),
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
    isFreshAnswer: (answered) => isYoungNow(lifeOfAnswer(answered)),
  };
}

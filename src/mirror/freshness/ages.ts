// How old what a mirror has is now, by freshness.ts and the clock: what is stored, and answers that are not stored yet.
import type { ObjectInfo, Validation } from "../../core/object.ts";
import type { FillHead } from "../fill/fill.ts";
import type { StoredObject } from "../stored/stored.ts";
import {
  createLives,
  type FreshnessRules,
  isYoung,
  type Life,
  reckonLife,
  type Standing,
  standingOf,
  type ToldLife,
  tellLife,
} from "./freshness.ts";

/** `askedAt`: as in FillHead. */
export type AnsweredAt = Pick<FillHead, "answer" | "askedAt">;

type Aging = Pick<StoredObject, "info" | "isStale">;

export interface Ages {
  /** For the hot path: whether what is in memory may be served as it is. Undefined: all may (`freshness: never`). */
  readonly isFresh: ((info: ObjectInfo) => boolean) | undefined;
  /** What is to be done with a stored object now. */
  standingOf(object: Aging): Standing;
  /** What is told of a stored object's life; undefined: it does not age. What is purged has nothing left, whatever the rules. */
  lifeOf(object: Aging): ToldLife | undefined;
  /** The same of an answer that is not stored yet. */
  lifeOfAnswer(answered: AnsweredAt): ToldLife | undefined;
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
    return newest === undefined ? life : reckonLife(newest, rules);
  }

  function lifeOfAnswer({ answer, askedAt }: AnsweredAt): Life | undefined {
    return rules === undefined ? undefined : reckonLife({ at: askedAt, life: answer.life }, rules);
  }

  const isYoungNow = (life: Life | undefined) => life === undefined || isYoung(life, now());

  return {
    isFresh: lives === undefined ? undefined : (info) => isYoungNow(lives(info)),
    standingOf(object) {
      if (object.info.provenance.via !== "mirror") return "fresh";
      const life = lifeOf(object);
      return life === undefined ? "fresh" : standingOf(life, now(), object.isStale);
    },
    lifeOf(object) {
      const life = lifeOf(object);
      return life === undefined ? undefined : tellLife(life, now(), object.isStale);
    },
    lifeOfAnswer(answered) {
      const life = lifeOfAnswer(answered);
      return life === undefined ? undefined : tellLife(life, now(), false);
    },
    isFreshAnswer: (answered) => isYoungNow(lifeOfAnswer(answered)),
  };
}

// Objects that an earlier run has left beside the bucket: whoever asks for one of them has it stored first.
import type { Key } from "../../core/object.ts";
import type { TakenBack } from "./pending-writes.ts";

export interface LeftObject {
  /** Stores it if that may be. Resolves with whether it is still left for the next start; called many times, does it once, never rejects. */
  bring(): Promise<boolean>;
  /** Its origin, asked later, has taken it back. */
  takeBack(told: TakenBackLater): Promise<void>;
}

export type TakenBackLater = Pick<TakenBack, "askedAt" | "fate">;

export interface Expected {
  /** Until the returned function is called. */
  add(key: Key, object: LeftObject): () => void;
  /** Resolves when what was left for the key has been brought: with whether any of it still waits for the next start. */
  arrived(key: Key): Promise<boolean>;
  takeBack(key: Key, told: TakenBackLater): Promise<void>;
  /** The key has moved on, and nobody waits for it any more. */
  forget(key: Key): void;
  readonly size: number;
}

export function createExpected(): Expected {
  const expected = new Map<Key, Set<LeftObject>>();
  return {
    add(key, object) {
      const all = expected.get(key) ?? new Set();
      expected.set(key, all.add(object));
      return () => {
        all.delete(object);
        if (all.size === 0 && expected.get(key) === all) expected.delete(key);
      };
    },
    async arrived(key) {
      let isLeft = false;
      for (const object of expected.get(key) ?? []) isLeft = (await object.bring()) || isLeft;
      return isLeft;
    },
    async takeBack(key, told) {
      for (const object of expected.get(key) ?? []) await object.takeBack(told);
    },
    forget(key) {
      expected.delete(key);
    },
    get size() {
      return expected.size;
    },
  };
}

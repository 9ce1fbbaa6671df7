// Objects that an earlier run has left beside the bucket: whoever asks for one of them has it stored first.
import type { Key } from "../object.ts";

/** Stores it if that may be. Resolves with whether it is still left for the next start; called many times, does it once, never rejects. */
export type Bring = () => Promise<boolean>;

export interface Expected {
  /** Until the returned function is called. */
  add(key: Key, bring: Bring): () => void;
  /** Resolves when what was left for the key has been brought: with whether any of it still waits for the next start. */
  arrived(key: Key): Promise<boolean>;
  /** The key has moved on, and nobody waits for it any more. */
  forget(key: Key): void;
  readonly size: number;
}

export function createExpected(): Expected {
  const expected = new Map<Key, Set<Bring>>();
  return {
    add(key, bring) {
      const all = expected.get(key) ?? new Set();
      expected.set(key, all.add(bring));
      return () => {
        all.delete(bring);
        if (all.size === 0 && expected.get(key) === all) expected.delete(key);
      };
    },
    async arrived(key) {
      let isLeft = false;
      for (const bring of expected.get(key) ?? []) isLeft = (await bring()) || isLeft;
      return isLeft;
    },
    forget(key) {
      expected.delete(key);
    },
    get size() {
      return expected.size;
    },
  };
}

// One at a time for each key, in the order of asking. As many entries as there are keys at work.
import { PassingMap } from "./passing.ts";

export interface KeyLocks {
  /** Runs when everybody who asked before for any of the keys is done. */
  hold<Result>(keys: readonly string[], run: () => Promise<Result>): Promise<Result>;
  /** Somebody has the key, or waits for it. */
  isHeld(key: string): boolean;
}

export function createKeyLocks(): KeyLocks {
  const last = new PassingMap<string, Promise<unknown>>();
  return {
    isHeld: (key) => last.get(key) !== undefined,
    async hold(keys, run) {
      // All places in the queues are taken in this turn, so two that want the same keys cannot wait for each other.
      const before = keys.map((key) => last.get(key));
      const mine = Promise.allSettled(before).then(run);
      const over = mine.catch(() => undefined);
      for (const key of keys) last.set(key, over);
      try {
        return await mine;
      } finally {
        for (const key of keys) if (last.get(key) === over) last.delete(key);
      }
    },
  };
}

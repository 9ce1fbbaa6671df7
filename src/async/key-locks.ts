// One at a time for each key, in the order of asking. As many entries as there are keys at work.
import { LiveMap } from "./live-map.ts";
import { withTimeout } from "./timeouts.ts";

export interface KeyLocks {
  /**
   * Runs when everybody who asked before for any of the keys is done. Throws store_failed where that takes too long; nothing is run
   * then.
   */
  hold<Result>(keys: readonly string[], run: () => Promise<Result>): Promise<Result>;
  /** Somebody has the key, or waits for it. */
  isHeld(key: string): boolean;
}

const RESOLVED = Promise.resolve();

/** `waitMs`: how long one waits for a key at the most; default for ever. */
export function createKeyLocks({ waitMs }: { readonly waitMs?: number } = {}): KeyLocks {
  const last = new LiveMap<string, Promise<unknown>>();
  return {
    isHeld: (key) => last.get(key) !== undefined,
    async hold(keys, run) {
      // All places in the queues are taken in this turn, so two that want the same keys cannot wait for each other.
      const earlier = keys.flatMap((key) => last.get(key) ?? []);
      const turn: Promise<unknown> = earlier.length === 0 ? RESOLVED : Promise.allSettled(earlier);
      let hasTimedOut = false;
      const current = turn.then(() => {
        if (hasTimedOut) throw new Error("whoever waited has left");
        return run();
      });
      for (const key of keys) last.set(key, current);
      const release = () => {
        for (const key of keys) if (last.get(key) === current) last.delete(key);
      };
      try {
        if (waitMs !== undefined && earlier.length > 0) {
          await withTimeout(waitMs, turn, "Cannot use a key: another change of it waits for the store");
        }
      } catch (error) {
        hasTimedOut = true;
        // Who comes later still waits for those before.
        void current.catch(() => undefined).then(release);
        throw error;
      }
      try {
        return await current;
      } finally {
        release();
      }
    },
  };
}

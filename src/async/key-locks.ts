// Runs one task at a time for each key, first come, first served. It holds one entry for each key in use.
import { withTimeout } from "./cancellation.ts";
import { LiveMap } from "./live-map.ts";

export interface KeyLocks {
  /**
   * Runs the task once all earlier tasks for any of the keys are done. Throws store_failed after `waitMs`; then the
   * task never runs.
   */
  hold<Result>(keys: readonly string[], run: () => Promise<Result>): Promise<Result>;
  /** True while a task runs or waits for the key. */
  isHeld(key: string): boolean;
}

const RESOLVED = Promise.resolve();

/** `waitMs`: the longest wait for a key; default unlimited. */
export function createKeyLocks({ waitMs }: { readonly waitMs?: number } = {}): KeyLocks {
  const last = new LiveMap<string, Promise<unknown>>();
  return {
    isHeld: (key) => last.get(key) !== undefined,
    async hold(keys, run) {
      // All queues are entered synchronously, so two tasks for the same keys cannot wait for each other.
      const earlier = keys.flatMap((key) => last.get(key) ?? []);
      const turn: Promise<unknown> = earlier.length === 0 ? RESOLVED : Promise.allSettled(earlier);
      let hasTimedOut = false;
      const current = turn.then(() => {
        if (hasTimedOut) throw new Error("the wait for the key has timed out");
        return run();
      });
      for (const key of keys) last.set(key, current);
      const release = () => {
        for (const key of keys) if (last.get(key) === current) last.delete(key);
      };
      try {
        if (waitMs !== undefined && earlier.length > 0) {
          await withTimeout(waitMs, turn, "Cannot change a key: an earlier change of it still waits for the store");
        }
      } catch (error) {
        hasTimedOut = true;
        // Later tasks still wait for the earlier ones.
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

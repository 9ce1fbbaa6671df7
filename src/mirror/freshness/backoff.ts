// Pauses the revalidation of an object after one that brought nothing usable. Bounded; a pause holds only for the epoch
// at which it began, so a purge is followed by a request at once. policy.ts says how long it lasts.
import type { Key } from "../../core/object.ts";
import { createExpiring } from "../expiring.ts";
import { type Fruitless, isPauseForAll, type PolicyRules, pauseMs } from "../policy.ts";

export interface Backoff {
  /** The end that began the pause. `mayServeStale`: the stored object is served after a failure. */
  known(at: { readonly key: Key; readonly epoch: number; readonly mayServeStale: boolean }): Fruitless | undefined;
  record(at: { readonly key: Key; readonly epoch: number }, end: Fruitless): void;
}

const MAX_ENTRIES = 10_000;

/** `ticks`: as performance.now(). */
export function createBackoff(rules: Pick<PolicyRules, "negativeTtlMs">, ticks: () => number): Backoff {
  const entries = createExpiring<{ readonly epoch: number; readonly end: Fruitless; readonly since: number }>(
    MAX_ENTRIES,
  );
  return {
    known({ key, epoch, mayServeStale }) {
      const at = ticks();
      const entry = entries.get(key, at);
      if (entry === undefined || entry.epoch < epoch) return undefined;
      return mayServeStale || isPauseForAll(entry.end, at - entry.since) ? entry.end : undefined;
    },
    record({ key, epoch }, end) {
      const since = ticks();
      entries.set(key, { epoch, end, since }, { now: since, ttlMs: pauseMs(end, rules) });
    },
  };
}

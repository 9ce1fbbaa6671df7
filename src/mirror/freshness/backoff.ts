// Pauses revalidation of an object after one that found no usable newer version. Bounded; a result holds only for the
// epoch at which it was obtained, so a purge is followed by a request at once.
import { type ErrorCode, HuiyuanError } from "../../core/errors.ts";
import type { Key } from "../../core/object.ts";
import { createExpiring } from "../expiring.ts";
import { FAILURE_MS } from "../negative-cache.ts";
import type { RevalidationEnd } from "./revalidation-effects.ts";

export interface Backoff {
  /** The last result, if it still holds. `mayServeStale`: the object is served if the origin has failed. */
  known(at: {
    readonly key: Key;
    readonly epoch: number;
    readonly mayServeStale: boolean;
  }): RevalidationEnd | undefined;
  /** Records a result that does not make the object fresh; ignores any other. */
  record(at: { readonly key: Key; readonly epoch: number }, outcome: RevalidationEnd): void;
}

// While the stored object is served. If it may not be, clients get the failure, which then expires after FAILURE_MS, as
// for a key that was never stored.
const FAILED_MS = 1_000;
// A new version that is not an image, or a disk that keeps none, stays so for a while; each revalidation costs the
// origin a whole body.
const USELESS_MS = 10_000;
const MAX_ENTRIES = 10_000;
const BROKEN: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "origin_truncated",
  "origin_too_large",
  "origin_empty",
  "origin_not_image",
  "origin_hash_wrong",
  "origin_encoded",
  "origin_type_refused",
]);

/** `ticks`: as performance.now(). */
export function createBackoff(parts: { readonly negativeTtlMs: number; readonly ticks: () => number }): Backoff {
  const { negativeTtlMs, ticks } = parts;
  const entries = createExpiring<{ readonly epoch: number; readonly outcome: RevalidationEnd; readonly since: number }>(
    MAX_ENTRIES,
  );

  function pauseMs(outcome: RevalidationEnd): number {
    if (outcome.kind === "gone") return Math.max(negativeTtlMs, FAILED_MS);
    return isBroken(outcome) || isNotStorable(outcome) ? USELESS_MS : FAILED_MS;
  }

  return {
    known({ key, epoch, mayServeStale }) {
      const at = ticks();
      const entry = entries.get(key, at);
      if (entry === undefined || entry.epoch < epoch) return undefined;
      const isOver =
        !mayServeStale &&
        entry.outcome.kind === "failed" &&
        (isNotStorable(entry.outcome) || at - entry.since >= FAILURE_MS);
      return isOver ? undefined : entry.outcome;
    },
    record({ key, epoch }, outcome) {
      const lasting = lastingOf(key, outcome);
      if (lasting === undefined) return;
      const since = ticks();
      entries.set(key, { epoch, outcome: lasting, since }, { now: since, ttlMs: pauseMs(lasting) });
    },
  };
}

/** The result without bytes, which later requests cannot use. Undefined: the object is, or will be, fresh. */
function lastingOf(key: Key, outcome: RevalidationEnd): RevalidationEnd | undefined {
  if (outcome.kind === "suspect") return { kind: "failed", error: damaged(key) };
  if (outcome.kind === "new" && outcome.fill.end?.kind === "unstored")
    return { kind: "failed", error: outcome.fill.end.error };
  return outcome.kind === "gone" || outcome.kind === "failed" ? outcome : undefined;
}

/** True: the origin has a new version, but not a whole, sound image. */
export function isBroken(outcome: RevalidationEnd): boolean {
  return outcome.kind === "suspect" || (outcome.kind === "failed" && BROKEN.has(outcome.error.code));
}

/** True: a sound new version arrived and can be streamed to clients, but the disk does not keep it. */
function isNotStorable(outcome: RevalidationEnd): boolean {
  return outcome.kind === "failed" && (outcome.error.code === "store_full" || outcome.error.code === "store_failed");
}

function damaged(key: Key): HuiyuanError {
  return new HuiyuanError("origin_truncated", `Cannot use the new version of "${key}": it is damaged`);
}

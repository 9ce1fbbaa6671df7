// How long a stored object's origin is left alone after it gave nothing better: bounded, and only for the epoch at which
// it was learnt, so that a purge asks at once.
import { type ErrorCode, HuiyuanError } from "../../core/errors.ts";
import type { Key } from "../../core/object.ts";
import { createExpiring } from "../expiring.ts";
import { FAILURE_MS } from "../negative-cache.ts";
import type { RevalidationEnd } from "./revalidation-effects.ts";

export interface Backoff {
  /** What was learnt a moment ago and still holds. `mayHelp`: where the origin has failed, the object is served. */
  known(at: {
    readonly key: Key;
    readonly epoch: number;
    readonly mayServeStale: boolean;
  }): RevalidationEnd | undefined;
  /** Notes outcomes that do not make the object fresh; of others it takes no note. */
  begin(at: { readonly key: Key; readonly epoch: number }, outcome: RevalidationEnd): void;
}

// While the object helps out. Where it may not, clients get the failure, and it is forgotten as that of a key never stored.
const FAILED_MS = 1_000;
// A new version that is no image stays so for a while, as does a disk that keeps none, and each look costs the origin a whole body.
const IN_VAIN_MS = 10_000;
const MAX_RESTING = 10_000;
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
  const resting = createExpiring<{ readonly epoch: number; readonly outcome: RevalidationEnd; readonly since: number }>(
    MAX_RESTING,
  );

  function restMs(outcome: RevalidationEnd): number {
    if (outcome.kind === "gone") return Math.max(negativeTtlMs, FAILED_MS);
    return isBroken(outcome) || isNotStorable(outcome) ? IN_VAIN_MS : FAILED_MS;
  }

  return {
    known({ key, epoch, mayServeStale }) {
      const at = ticks();
      const rest = resting.get(key, at);
      if (rest === undefined || rest.epoch < epoch) return undefined;
      const isOver =
        !mayServeStale &&
        rest.outcome.kind === "failed" &&
        (isNotStorable(rest.outcome) || at - rest.since >= FAILURE_MS);
      return isOver ? undefined : rest.outcome;
    },
    begin({ key, epoch }, outcome) {
      const lasting = lastingOf(key, outcome);
      if (lasting === undefined) return;
      const since = ticks();
      resting.set(key, { epoch, outcome: lasting, since }, { now: since, ttlMs: restMs(lasting) });
    },
  };
}

/** Bytes that are not kept are not there for those who come later. Undefined where the object is fresh by it, or will be. */
function lastingOf(key: Key, outcome: RevalidationEnd): RevalidationEnd | undefined {
  if (outcome.kind === "suspect") return { kind: "failed", error: damaged(key) };
  if (outcome.kind === "new" && outcome.fill.end?.kind === "unstored")
    return { kind: "failed", error: outcome.fill.end.error };
  return outcome.kind === "gone" || outcome.kind === "failed" ? outcome : undefined;
}

/** True where the origin has a new version that is no whole, sound image. */
export function isBroken(outcome: RevalidationEnd): boolean {
  return outcome.kind === "suspect" || (outcome.kind === "failed" && BROKEN.has(outcome.error.code));
}

/** A good version came, and can be passed on as it comes, but the disk does not keep it. */
function isNotStorable(outcome: RevalidationEnd): boolean {
  return outcome.kind === "failed" && (outcome.error.code === "store_full" || outcome.error.code === "store_failed");
}

function damaged(key: Key): HuiyuanError {
  return new HuiyuanError("origin_truncated", `Cannot use the new version of "${key}": it is damaged`);
}

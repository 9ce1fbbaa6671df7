// What a mirror has learnt of its keys a moment ago: the origin lacks it, it has just failed. Bounded, and each entry
// holds only for the epoch at which it was learnt: a delete, a purge or an upload makes it say nothing about the key.
import { hash } from "node:crypto";
import { type ErrorCode, HuiyuanError } from "../core/errors.ts";
import type { Key } from "../core/object.ts";
import { createExpiring } from "./expiring.ts";
import { fillId, type OriginRequest } from "./rules.ts";

/** A fetch at an epoch of its key. */
export interface FetchAt {
  /** Equal for requests that share a fill: the key, and whatever else the answer depends on. */
  readonly id: string;
  readonly key: Key;
  readonly epoch: number;
}

export function fetchOf(request: OriginRequest & Pick<FetchAt, "epoch">): FetchAt {
  return { id: fillId(request), key: request.key, epoch: request.epoch };
}

export interface NegativeCache {
  /** Throws not_found or the failure where the origin need not be asked again yet. */
  refuseIfKnown(at: FetchAt): void;
  absent(at: FetchAt): void;
  failed(at: FetchAt, error: HuiyuanError): void;
}

/** How long a failure to bring what a client waits for is remembered. Milliseconds. */
export const FAILURE_MS = 500;
const MAX_ABSENT = 100_000;
/** Each has its message, with a URL. */
const MAX_FAILED = 2_000;
/** An id may hold what a client sent, up to some kilobytes; longer ones are known by their digest. Characters. */
const MAX_ID = 64;
// Not failures of the key: this server had no room or is stopping, its disk or its readers were too slow for the body,
// the request itself carried the mark of a loop, or the origin was left alone, which may end at any moment.
const NOT_OF_THE_KEY: readonly ErrorCode[] = [
  ...(["overloaded", "draining", "store_failed", "origin_loop", "origin_failing", "origin_busy"] as const),
  // Of the renderer, and of those who wanted its work.
  ...(["render_overloaded", "client_gone"] as const),
];

/** Times are milliseconds. */
export interface NegativeCacheRules {
  readonly negativeTtlMs: number;
  /** How long a failure is remembered; default 500. */
  readonly failureMs?: ((error: HuiyuanError) => number) | undefined;
}

/** `ticks`: as performance.now(). */
export function createNegativeCache(
  { negativeTtlMs, failureMs = () => FAILURE_MS }: NegativeCacheRules,
  ticks: () => number,
): NegativeCache {
  const absences = createExpiring<number>(MAX_ABSENT);
  const failures = createExpiring<{ readonly epoch: number; readonly error: HuiyuanError }>(MAX_FAILED);
  return {
    refuseIfKnown({ id: whole, key, epoch }) {
      const at = ticks();
      const id = short(whole);
      const absentAt = absences.get(id, at);
      if (absentAt !== undefined && absentAt >= epoch) throw absent(key);
      const failure = failures.get(id, at);
      if (failure !== undefined && failure.epoch >= epoch) throw failure.error;
    },
    absent({ id, epoch }) {
      absences.set(short(id), epoch, { now: ticks(), ttlMs: negativeTtlMs });
    },
    failed({ id, epoch }, error) {
      if (NOT_OF_THE_KEY.includes(error.code)) return;
      failures.set(short(id), { epoch, error }, { now: ticks(), ttlMs: failureMs(error) });
    },
  };
}

/** No key has a NUL, so that none can pass for the digest of another id. */
function short(id: string): string {
  return id.length <= MAX_ID ? id : `\0${hash("sha256", id, "base64url")}`;
}

/** not_found */
export function absent(key: Key): HuiyuanError {
  return new HuiyuanError("not_found", `Cannot serve "${key}": the origin has no such image`);
}

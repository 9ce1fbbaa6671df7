// Bounds the wait for objects of a remote store that must be read and verified completely before they are used.
import { withTimeout } from "../../../async/cancellation.ts";
import type { Key } from "../../../core/object.ts";

/** Shorter than a client's connection waits for its response. Milliseconds. */
export const READ_WAIT_MS = 40_000;

/**
 * Resolves with the result of `reading`. Throws store_failed after 40 s; the read then continues, because its copy can
 * serve later requests.
 */
export function withReadDeadline<Result>(key: Key, reading: Promise<Result>): Promise<Result> {
  return withTimeout(
    READ_WAIT_MS,
    reading,
    `Cannot read "${key}": the whole object was not received in ${READ_WAIT_MS / 1_000} s`,
  );
}

// Logs failing callbacks: the first failure, then once a minute, and the recovery. A receiver that is down must not
// fill the disk with log lines.
import type { Log } from "../../core/log.ts";
import type { Delivery } from "./delivery.ts";

export interface FailureLog {
  /** Records the result of an attempt. */
  note(bucketId: string, delivery: Delivery): void;
  /** A notice could not be stored in the outbox; if its first attempt fails, it is lost. */
  notEnqueued(bucketId: string, cause: unknown): void;
}

interface FailureCount {
  failed: number;
  /** As performance.now(). */
  loggedAt: number;
}

const LOG_EVERY_MS = 60_000;

/** Bounded: one entry for each bucket whose callback fails. */
export function createFailureLog(log: Log): FailureLog {
  const failing = new Map<string, FailureCount>();
  const notEnqueued = new Map<string, FailureCount>();

  /** Counts a failure. Returns the failures since the last log line, or undefined if it is too early for a line. */
  function count(all: Map<string, FailureCount>, bucketId: string): number | undefined {
    const entry = all.get(bucketId) ?? { failed: 0, loggedAt: Number.NEGATIVE_INFINITY };
    all.set(bucketId, entry);
    entry.failed += 1;
    if (performance.now() < entry.loggedAt + LOG_EVERY_MS) return undefined;
    const { failed } = entry;
    entry.failed = 0;
    entry.loggedAt = performance.now();
    return failed;
  }

  return {
    note(bucket, delivery) {
      if (delivery.ok) {
        if (failing.delete(bucket)) log.info({ bucket }, "the callback works again");
        return;
      }
      const { failure, found } = delivery;
      const failed = count(failing, bucket);
      if (failed !== undefined)
        log.warn(
          { bucket, ...failure, ...(found === undefined ? {} : { found }), failed },
          "the callback fails; see `huiyuan callbacks list`",
        );
    },
    notEnqueued(bucket, cause) {
      const failed = count(notEnqueued, bucket);
      if (failed === undefined) return;
      const why = typeof cause === "string" ? { found: cause } : { err: cause };
      log.error(
        { bucket, ...why, failed },
        "cannot save callbacks of uploads to the outbox; each is tried once and not retried",
      );
    },
  };
}

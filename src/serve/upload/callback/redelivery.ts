// Schedules the redelivery of notices, each bucket on its own, so that a silent receiver does not delay the others. The
// caller sends them.
import { setMaxListeners } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import type { Log } from "../../../core/log.ts";
import type { Outbox, OutboxEntry } from "./outbox.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** Delay after the first attempt, the second, and so on; the last one repeats. */
const DELAYS_MS = [10_000, MINUTE_MS, 10 * MINUTE_MS, HOUR_MS];
const GIVE_UP_AFTER_MS = 24 * HOUR_MS;

/**
 * When the next attempt is due, in Unix milliseconds; undefined if none follows. `at`: end of the last attempt, which
 * was number `attempts`.
 */
export function nextAttempt({ since, attempts }: Pick<OutboxEntry, "since" | "attempts">, at: number) {
  const dueAt = at + (DELAYS_MS[attempts - 1] ?? HOUR_MS);
  return dueAt > since + GIVE_UP_AFTER_MS ? undefined : dueAt;
}

export interface RedeliveryOptions {
  readonly outbox: Pick<Outbox, "correct" | "nextDue" | "due">;
  /** Whether the bucket has a callback in the current settings. */
  readonly hasReceiver: (bucketId: string) => boolean;
  /** Sends a notice and updates the outbox, so that it is no longer due. Throws if the outbox cannot be written. */
  readonly attempt: (entry: OutboxEntry) => Promise<void>;
  /** Unix milliseconds. */
  readonly now: () => number;
  readonly log: Log;
}

export interface Redelivery {
  /** Looks for due notices now, because one may be due earlier than planned. The first call starts the schedule. */
  wake(): void;
  /** Resolves when no attempt is running. */
  close(): Promise<void>;
}

/** Attempts to one receiver at the same time. */
const REDELIVERIES = 4;
// Bounded, because the clock may be changed.
const LONGEST_SLEEP_MS = MINUTE_MS;
const AFTER_FAULT_MS = 10_000;

export function createRedelivery({ outbox, hasReceiver, attempt, now, log }: RedeliveryOptions): Redelivery {
  const closing = new AbortController();
  const { signal } = closing;
  setMaxListeners(0, signal);
  const busy = new Map<string, Promise<void>>();
  let timer: NodeJS.Timeout | undefined;
  let scheduled = Promise.resolve();
  let isQueued = false;

  function wake(): void {
    if (signal.aborted || isQueued) return;
    isQueued = true;
    scheduled = scheduled.then(scheduleDue);
  }

  async function scheduleDue(): Promise<void> {
    clearTimeout(timer);
    isQueued = false;
    let wait = LONGEST_SLEEP_MS;
    try {
      await outbox.correct(now(), 2 * HOUR_MS);
      for (const { bucketId, dueAt } of await outbox.nextDue()) {
        if (!hasReceiver(bucketId) || busy.has(bucketId)) continue;
        if (dueAt <= now()) busy.set(bucketId, deliverDue(bucketId));
        else wait = Math.min(wait, dueAt - now());
      }
    } catch (error) {
      log.warn({ err: error }, "cannot read due notices from the outbox; will retry");
      wait = AFTER_FAULT_MS;
    }
    if (!signal.aborted) timer = setTimeout(wake, wait).unref();
  }

  async function deliverDue(bucketId: string): Promise<void> {
    try {
      for (;;) {
        if (signal.aborted || !hasReceiver(bucketId)) return;
        const due = await outbox.due(bucketId, now(), REDELIVERIES);
        if (due.length === 0) return;
        await Promise.all(due.map(attempt));
      }
    } catch (error) {
      log.warn(
        { err: error, bucket: bucketId },
        "callbacks were sent, but the outbox cannot be updated; will retry, and may send them again",
      );
      // The notices that were sent are still due, so a pause keeps them from being sent again and again.
      await delay(AFTER_FAULT_MS, undefined, { signal, ref: false }).catch(() => undefined); // closing
    } finally {
      busy.delete(bucketId);
      wake();
    }
  }

  return {
    wake,
    async close() {
      closing.abort();
      clearTimeout(timer);
      await scheduled;
      await Promise.all(busy.values());
      clearTimeout(timer);
    },
  };
}

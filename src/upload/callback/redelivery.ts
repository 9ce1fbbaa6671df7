// When notices that did not get through are sent again: the schedule, and the clockwork that follows it, bucket by bucket,
// so that one receiver's silence is not another's. How one is sent is the caller's.
import { setMaxListeners } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import type { Log } from "../../core/log.ts";
import type { Outbox, OutboxEntry } from "./outbox.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** After the first attempt, the second, …; after all others as after the last of these. */
const DELAYS_MS = [10_000, MINUTE_MS, 10 * MINUTE_MS, HOUR_MS];
const GIVE_UP_AFTER_MS = 24 * HOUR_MS;

/** When the next attempt is due, Unix milliseconds; undefined where there is none. `at`: when the last one, number `attempts`, ended. */
export function nextAttempt({
  since,
  attempts,
  at,
}: {
  readonly since: number;
  readonly attempts: number;
  readonly at: number;
}) {
  const dueAt = at + (DELAYS_MS[attempts - 1] ?? HOUR_MS);
  return dueAt > since + GIVE_UP_AFTER_MS ? undefined : dueAt;
}

export interface RedeliveryOptions {
  readonly outbox: Pick<Outbox, "nextDue" | "due">;
  /** False: nobody is told of this bucket's uploads for the time being. */
  readonly hasReceiver: (bucketId: string) => boolean;
  /** Sends it and notes the end in the outbox, so that it is not due any more. Throws where the outbox cannot be written. */
  readonly attempt: (entry: OutboxEntry) => Promise<void>;
  /** Unix milliseconds. */
  readonly now: () => number;
  readonly log: Log;
}

export interface Redelivery {
  /** Looks now: something may be due earlier than was known. Nothing is looked for before the first call. */
  wake(): void;
  /** Resolves when no attempt is under way. */
  close(): Promise<void>;
}

/** At the same time to one receiver. */
export const REDELIVERIES = 4;
// The clock may be set.
const LONGEST_SLEEP_MS = MINUTE_MS;
const AFTER_FAULT_MS = 10_000;

export function createRedelivery({ outbox, hasReceiver, attempt, now, log }: RedeliveryOptions): Redelivery {
  const closing = new AbortController();
  const { signal } = closing;
  setMaxListeners(0, signal);
  const busy = new Map<string, Promise<void>>();
  let timer: NodeJS.Timeout | undefined;
  let scheduling: Promise<void> | undefined;
  let mustRunAgain = false;

  function wake(): void {
    mustRunAgain = true;
    if (signal.aborted || scheduling !== undefined) return;
    scheduling = scheduleDue().finally(() => {
      scheduling = undefined;
      if (mustRunAgain) wake();
    });
  }

  async function scheduleDue(): Promise<void> {
    clearTimeout(timer);
    mustRunAgain = false;
    let wait = LONGEST_SLEEP_MS;
    try {
      for (const { bucketId, dueAt } of await outbox.nextDue()) {
        if (!hasReceiver(bucketId) || busy.has(bucketId)) continue;
        if (dueAt <= now()) busy.set(bucketId, deliverDue(bucketId));
        else wait = Math.min(wait, dueAt - now());
      }
    } catch (error) {
      log.warn({ err: error }, "cannot read which notices are owed; will try again");
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
      log.warn({ err: error, bucket: bucketId }, "cannot keep account of notices; will try again");
      // What was sent is still due: it must not be sent again and again.
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
      await scheduling;
      await Promise.all(busy.values());
      clearTimeout(timer);
    },
  };
}

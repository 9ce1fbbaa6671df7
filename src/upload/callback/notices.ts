// Telling business servers of uploads (回调): each notice is owed durably before it is first sent, and until it is delivered.
// The uploader waits for the first attempt only. Wires delivery, outbox and redelivery for all buckets of the settings.
import { createReloadCache } from "../../async/reload-cache.ts";
import { createSharedSignals } from "../../async/shared-signals.ts";
import type { Log } from "../../core/log.ts";
import { createLifetime } from "../../origin/dial/lifetime.ts";
import type { Resolve } from "../../origin/dial/lookup.ts";
import { createSemaphore, type Semaphore } from "../../origin/dial/semaphore.ts";
import {
  CALLBACK_FAILED,
  type CallbackFailure,
  type CallbackOutcome,
  type MakeOutboxDraft,
  type Uploaded,
} from "./callback.ts";
import { type CallbackTarget, createReceiver, type Delivery, type Receiver } from "./delivery.ts";
import { createFailureLog } from "./failure-log.ts";
import type { Outbox, OutboxEntry } from "./outbox.ts";
import { createRedelivery, nextAttempt, REDELIVERIES } from "./redelivery.ts";

/** What happens to notices, as it happens. */
export interface CallbackMeter {
  /** One attempt has ended. */
  attempted(outcome: "delivered" | CallbackFailure["reason"]): void;
  /** A notice failed that could not be kept for later. */
  lost(): void;
}

export interface Notices {
  /**
   * Before a file is stored: whatever happens from here on, its notice is sent if and only if the file is there. Never
   * rejects. Undefined where the bucket has no callback.
   */
  readonly makeOutboxDraft: MakeOutboxDraft;
  /** By `<appid>/<bucket>`. For what begins from now on; what is owed goes to the new place. */
  apply(targets: ReadonlyMap<string, CallbackTarget>): void;
  /** Sends what is owed, from now on; again: looks for it at once. Never rejects. Without it only first attempts are made. */
  redeliver(): Promise<void>;
  /** Whether what is owed is sent: true once redeliver() has been called. */
  readonly isRedelivering: boolean;
  /** Attempts under way are broken off; their notices stay owed. */
  close(): Promise<void>;
}

export interface NoticesOptions {
  readonly outbox: Outbox;
  /** Whether the file is there, as it was uploaded. Rejects where that cannot be said now. */
  readonly isStored: (uploaded: Uploaded) => Promise<boolean>;
  readonly userAgent: string;
  readonly resolve: Resolve;
  readonly meter: CallbackMeter;
  /** Unix milliseconds. */
  readonly now: () => number;
  readonly log: Log;
}

/** First attempts to one receiver at the same time; further uploads of its bucket wait, within their time. */
const IN_FLIGHT = 32;
// No uploader waits for these.
const REDELIVERY_TIMEOUT_MS = 10_000;
// For storing a file that was announced and the first attempt, and between two looks whether it is stored.
const STORING_MS = 60_000;
const STORED_AT_LAST_MS = 600_000;

interface Recipient {
  readonly target: CallbackTarget;
  readonly receiver: Receiver;
  readonly firstAttempts: Semaphore;
}

export function createNotices(options: NoticesOptions): Notices {
  const { outbox, isStored, userAgent, resolve, meter, now, log } = options;
  const closing = new AbortController();
  const shared = createSharedSignals()(closing.signal);
  const receivers = createReloadCache<Receiver>();
  const semaphores = createReloadCache<Semaphore>();
  const failures = createFailureLog(log);
  /** Announced, or in their first attempt. */
  const inProgress = new Set<number>();
  let recipients: ReadonlyMap<string, Recipient> = new Map();
  const redelivery = createRedelivery({
    outbox,
    hasReceiver: (id) => recipients.has(id),
    attempt: retryDelivery,
    now,
    log,
  });
  let isRedelivering = false;

  function wake(): void {
    if (isRedelivering) redelivery.wake();
  }

  /** The notice's id; undefined where it could not be kept. */
  async function enqueue(uploaded: Uploaded): Promise<number | undefined> {
    try {
      const since = now();
      const id = await outbox.enqueue(uploaded, { since, dueAt: since + STORING_MS });
      if (id === undefined) failures.notEnqueued(bucketIdOf(uploaded), "as many notices are owed as are kept");
      else inProgress.add(id);
      return id;
    } catch (error) {
      failures.notEnqueued(bucketIdOf(uploaded), error);
      return undefined;
    }
  }

  async function sendFirst(
    id: number | undefined,
    uploaded: Uploaded,
    { target, receiver, firstAttempts }: Recipient,
  ): Promise<CallbackOutcome> {
    const lifetime = createLifetime(shared, target.timeoutMs, () => new Error("the time is over"));
    try {
      const delivery = await send(uploaded, { receiver, semaphore: firstAttempts, attempt: 1 }, lifetime);
      if (id === undefined) {
        if (!delivery.ok) meter.lost();
      } else void settle({ id, attempts: 1, since: now() }, delivery).then(wake, noteUnsettled);
      return outcomeOf(delivery, target);
    } finally {
      lifetime.end();
    }
  }

  async function send(
    uploaded: Uploaded,
    { receiver, semaphore, attempt }: { receiver: Receiver; semaphore?: Semaphore; attempt: number },
    lifetime: ReturnType<typeof createLifetime>,
  ): Promise<Delivery> {
    let release: (() => void) | undefined;
    let delivery: Delivery;
    try {
      release = await semaphore?.take(lifetime);
      const ending = new AbortController();
      lifetime.watch((reason) => ending.abort(reason));
      const { requestId, ...facts } = uploaded;
      const notice = { ...facts, timestamp: Math.floor(now() / 1_000), attempt };
      delivery = await receiver.deliver({ notice, requestId, signal: ending.signal });
    } catch {
      delivery = { ok: false, failure: { reason: "timeout" } }; // No place became free in time.
    } finally {
      release?.();
    }
    if (closing.signal.aborted) return delivery;
    meter.attempted(delivery.ok ? "delivered" : delivery.failure.reason);
    failures.note(bucketIdOf(uploaded), delivery);
    return delivery;
  }

  /** Throws where the outbox cannot be written. */
  async function settle(
    { id, attempts, since }: Pick<OutboxEntry, "id" | "attempts" | "since">,
    delivery: Delivery,
  ): Promise<void> {
    try {
      if (delivery.ok) {
        await outbox.forget(id);
        return;
      }
      const dueAt = nextAttempt({ since, attempts, at: now() });
      await outbox.postpone(id, { attempts, dueAt, isStored: true, failure: delivery.failure });
    } finally {
      inProgress.delete(id);
    }
  }

  function noteUnsettled(error: unknown): void {
    log.warn({ err: error }, "cannot note how a notice ended; it may be sent again");
  }

  async function retryDelivery(entry: OutboxEntry): Promise<void> {
    if (!(await mustBeSent(entry))) return;
    const to = recipients.get(bucketIdOf(entry));
    if (to === undefined) return;
    const attempts = entry.isStored ? entry.attempts + 1 : entry.attempts;
    const timeoutMs = Math.max(to.target.timeoutMs, REDELIVERY_TIMEOUT_MS);
    const lifetime = createLifetime(shared, timeoutMs, () => new Error("the time is over"));
    try {
      const delivery = await send(entry, { receiver: to.receiver, attempt: attempts }, lifetime);
      // Broken off by the end of the program: it stays as it is, and due.
      if (delivery.ok || !closing.signal.aborted) await settle({ ...entry, attempts }, delivery);
    } finally {
      lifetime.end();
    }
  }

  /** False: it has been postponed or forgotten. */
  async function mustBeSent(entry: OutboxEntry): Promise<boolean> {
    const { id, attempts, isStored: isThere, failure, since } = entry;
    const later = () => outbox.postpone(id, { attempts, isStored: isThere, failure, dueAt: now() + STORING_MS });
    if (inProgress.has(id) && now() < since + STORED_AT_LAST_MS) {
      await later();
      return false;
    }
    if (isThere) return true;
    let found: boolean;
    try {
      found = await isStored(entry);
    } catch (error) {
      log.warn(
        { err: error, bucket: bucketIdOf(entry) },
        "cannot find out whether an upload was stored; will try again",
      );
      await later();
      return false;
    }
    if (found) return true;
    if (now() < since + STORED_AT_LAST_MS) await later();
    else await outbox.forget(id);
    return false;
  }

  return {
    async makeOutboxDraft(uploaded) {
      const to = recipients.get(bucketIdOf(uploaded));
      if (to === undefined) return undefined;
      const id = await enqueue(uploaded);
      return {
        stored: () => sendFirst(id, uploaded, recipients.get(bucketIdOf(uploaded)) ?? to),
        withdraw() {
          if (id === undefined) return;
          inProgress.delete(id);
          outbox.forget(id).catch(noteUnsettled);
        },
        markUnknown() {
          if (id !== undefined) inProgress.delete(id);
        },
      };
    },
    apply(targets) {
      recipients = new Map(
        [...targets].map(([bucketId, target]) => {
          const { url, secret, timeoutMs, allowPrivate } = target;
          const receiver = receivers.take(JSON.stringify([bucketId, url, secret, timeoutMs, allowPrivate]), () =>
            createReceiver({ target, connections: IN_FLIGHT + REDELIVERIES, userAgent, resolve }),
          );
          return [
            bucketId,
            { target, receiver, firstAttempts: semaphores.take(bucketId, () => createSemaphore(IN_FLIGHT)) },
          ];
        }),
      );
      semaphores.keep();
      // Each ends when its last notice has.
      for (const receiver of receivers.keep()) void receiver.close();
      wake();
    },
    async redeliver() {
      // A process that ended in the midst of an upload has left it to this one to find out what became of it.
      if (!isRedelivering) await outbox.inherit(now()).catch(noteUnsettled);
      isRedelivering = true;
      wake();
    },
    get isRedelivering() {
      return isRedelivering;
    },
    async close() {
      closing.abort();
      await redelivery.close();
      await Promise.all(receivers.keep().map((receiver) => receiver.close()));
    },
  };
}

function bucketIdOf({ appid, bucket }: Uploaded): string {
  return `${appid}/${bucket}`;
}

function outcomeOf(delivery: Delivery, { onFailure }: CallbackTarget): CallbackOutcome {
  if (delivery.ok) return { code: 0, json: delivery.json };
  return { code: onFailure === "accept" ? 0 : CALLBACK_FAILED, json: JSON.stringify(delivery.failure) };
}

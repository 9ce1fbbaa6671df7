// Sends notices of uploads to business servers (回调). Each notice is in the durable outbox before its first attempt and
// until it is delivered; the uploader waits for the first attempt only. Wires delivery, outbox and redelivery.

import { shareSignal } from "../../../async/cancellation.ts";
import { createReloadCache } from "../../../async/reload-cache.ts";
import { CALLBACK_FAILED } from "../../../core/errors.ts";
import type { Log } from "../../../core/log.ts";
import type { Resolve } from "../../origin/dial/lookup.ts";
import { Lifetime } from "../../origin/exchange/lifetime.ts";
import type { CallbackFailure, CallbackOutcome, MakeOutboxDraft, Uploaded } from "./callback.ts";
import { type CallbackTarget, createReceiver, type Delivery, type Receiver, type TestedDelivery } from "./delivery.ts";
import type { Outbox, OutboxEntry } from "./outbox.ts";
import { createRedelivery, nextAttempt } from "./redelivery.ts";

/** Counts what happens to notices. */
export interface CallbackMeter {
  /** An attempt has ended. */
  attempted(outcome: "delivered" | CallbackFailure["reason"]): void;
  /** A notice has failed that is not in the outbox, so it is not retried. */
  lost(): void;
}

export interface Notices {
  /**
   * To be called before a file is stored. From then on its notice is sent if and only if the file was stored, also
   * after a crash. Never rejects. Undefined if the bucket has no callback.
   */
  readonly makeOutboxDraft: MakeOutboxDraft;
  /**
   * Sends a notice of a file that does not exist, once, marked as a test. It is not in the outbox. Undefined if the
   * bucket has no callback. Never rejects.
   */
  test(sample: Uploaded): Promise<TestedDelivery | undefined>;
  /** Replaces the targets, by `<appid>/<bucket>`. Pending notices are sent to the new target too. */
  apply(targets: ReadonlyMap<string, CallbackTarget>): void;
  /**
   * Starts redelivery; a further call looks for due notices at once. Without it only first attempts are made. Never
   * rejects.
   */
  redeliver(): Promise<void>;
  /** True once redeliver() has been called. */
  readonly isRedelivering: boolean;
  /** Aborts running attempts; their notices stay in the outbox. */
  close(): Promise<void>;
}

export interface NoticesOptions {
  readonly outbox: Outbox;
  /** Whether the file is stored as it was uploaded. Rejects if the store does not answer. */
  readonly isStored: (uploaded: Uploaded) => Promise<boolean>;
  readonly userAgent: string;
  readonly resolve: Resolve;
  readonly meter: CallbackMeter;
  /** Unix milliseconds. */
  readonly now: () => number;
  readonly log: Log;
  /** Logs the first failures of each kind and counts the rest, because a receiver may be down for hours. */
  readonly failures: Readonly<Record<"warn" | "error", (kind: string, fields: object, message: string) => void>>;
}

/** Attempts to one receiver at the same time; further ones wait, within their timeout. */
const IN_FLIGHT = 32;
// No uploader waits for these.
const REDELIVERY_TIMEOUT_MS = 10_000;
// The time for storing a file and for its first attempt; also the interval of lookups whether the file was stored.
const STORING_MS = 60_000;
/** A notice whose file is not stored after this time is dropped. */
const STORED_AT_LAST_MS = 600_000;

interface Recipient {
  readonly target: CallbackTarget;
  readonly receiver: Receiver;
}

export function createNotices(options: NoticesOptions): Notices {
  const { outbox, isStored, userAgent, resolve, meter, now, log, failures } = options;
  const closing = new AbortController();
  const shared = shareSignal(closing.signal);
  const receivers = createReloadCache<Receiver>();
  /** Ids of notices whose file is being stored or whose first attempt is running. */
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

  /** The id of the notice; undefined if it could not be stored. */
  async function enqueue(uploaded: Uploaded): Promise<number | undefined> {
    try {
      const since = now();
      const id = await outbox.enqueue(uploaded, { since, dueAt: since + STORING_MS });
      if (id === undefined) noteNotEnqueued(uploaded, { found: "the outbox of this bucket is full" });
      else inProgress.add(id);
      return id;
    } catch (error) {
      noteNotEnqueued(uploaded, { err: error });
      return undefined;
    }
  }

  function noteNotEnqueued(uploaded: Uploaded, why: object): void {
    const bucket = bucketIdOf(uploaded);
    const text = "cannot save callbacks of uploads to the outbox; each is tried once and not retried";
    failures.error(`outbox of ${bucket}`, { bucket, ...why }, text);
  }

  async function sendFirst(
    id: number | undefined,
    uploaded: Uploaded,
    { target, receiver }: Recipient,
  ): Promise<CallbackOutcome> {
    const delivery = await send(uploaded, { receiver, attempt: 1, timeoutMs: target.timeoutMs });
    if (id === undefined) {
      if (!delivery.ok) meter.lost();
    } else void settle({ id, attempts: 1, since: now() }, delivery).then(wake, noteUnsettled);
    return outcomeOf(delivery, target);
  }

  async function send(
    { requestId, ...facts }: Uploaded,
    { receiver, attempt, timeoutMs }: { receiver: Receiver; attempt: number; timeoutMs: number },
  ): Promise<Delivery> {
    const lifetime = new Lifetime(shared, timeoutMs, () => new Error("the time is over"));
    const ending = new AbortController();
    lifetime.exchange = { expire: (reason) => ending.abort(reason) };
    const notice = { ...facts, timestamp: Math.floor(now() / 1_000), attempt };
    const { delivery } = await receiver.deliver({ notice, requestId, signal: ending.signal });
    lifetime.end();
    if (closing.signal.aborted) return delivery;
    meter.attempted(delivery.ok ? "delivered" : delivery.failure.reason);
    if (delivery.ok) return delivery;
    const bucket = bucketIdOf(facts);
    const about = { bucket, ...delivery.failure, found: delivery.found };
    failures.warn(bucket, about, "the callback fails; see `huiyuan callbacks list`");
    return delivery;
  }

  /** Writes the result of an attempt to the outbox. Throws if the outbox cannot be written. */
  async function settle(
    { id, attempts, since }: Pick<OutboxEntry, "id" | "attempts" | "since">,
    delivery: Delivery,
  ): Promise<void> {
    try {
      if (delivery.ok) {
        await outbox.forget(id);
        return;
      }
      const dueAt = nextAttempt({ since, attempts }, now());
      await outbox.postpone(id, { attempts, dueAt, isStored: true, failure: delivery.failure });
    } finally {
      inProgress.delete(id);
    }
  }

  function noteUnsettled(error: unknown): void {
    log.warn({ err: error }, "cannot update the outbox; a notice may be sent again");
  }

  async function retryDelivery(entry: OutboxEntry): Promise<void> {
    if (!(await mustBeSent(entry))) return;
    const to = recipients.get(bucketIdOf(entry));
    if (to === undefined) return;
    const attempts = entry.isStored ? entry.attempts + 1 : entry.attempts;
    const timeoutMs = Math.max(to.target.timeoutMs, REDELIVERY_TIMEOUT_MS);
    const delivery = await send(entry, { receiver: to.receiver, attempt: attempts, timeoutMs });
    // An attempt that was aborted by the shutdown leaves the notice due.
    if (delivery.ok || !closing.signal.aborted) await settle({ ...entry, attempts }, delivery);
  }

  /** Whether the notice is to be sent now. If not, it has been postponed or removed. */
  async function mustBeSent(entry: OutboxEntry): Promise<boolean> {
    const { id, attempts, isStored: isThere, failure, since } = entry;
    const isRecent = now() < since + STORED_AT_LAST_MS;
    const isBusy = inProgress.has(id) && isRecent;
    if (isThere && !isBusy) return true;
    const found = isBusy
      ? "unknown"
      : await isStored(entry).catch((error: unknown) => {
          log.warn(
            { err: error, bucket: bucketIdOf(entry) },
            "cannot look up whether an upload was stored; will retry",
          );
          return "unknown" as const;
        });
    if (found === true) return true;
    if (found === false && !isRecent) await outbox.forget(id);
    else await outbox.postpone(id, { attempts, isStored: isThere, failure, dueAt: now() + STORING_MS });
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
    async test({ requestId, ...facts }) {
      const to = recipients.get(bucketIdOf(facts));
      const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(to?.target.timeoutMs ?? 0)]);
      const notice = { ...facts, timestamp: Math.floor(now() / 1_000), attempt: 1 };
      return to?.receiver.deliver({ notice, requestId, signal, isTest: true });
    },
    apply(targets) {
      recipients = new Map(
        [...targets].map(([bucketId, target]) => {
          const { url, secret, timeoutMs, allowPrivate } = target;
          const receiver = receivers.take(JSON.stringify([bucketId, url, secret, timeoutMs, allowPrivate]), () =>
            createReceiver({ target, connections: IN_FLIGHT, userAgent, resolve }),
          );
          return [bucketId, { target, receiver }];
        }),
      );
      // Each receiver closes after its last notice.
      for (const receiver of receivers.keep()) void receiver.close();
      wake();
    },
    async redeliver() {
      // An earlier process may have ended during an upload; this one looks up whether the file was stored.
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

function bucketIdOf({ appid, bucket }: Pick<Uploaded, "appid" | "bucket">): string {
  return `${appid}/${bucket}`;
}

function outcomeOf(delivery: Delivery, { onFailure }: CallbackTarget): CallbackOutcome {
  if (delivery.ok) return { code: 0, json: delivery.json };
  return { code: onFailure === "accept" ? 0 : CALLBACK_FAILED, json: JSON.stringify(delivery.failure) };
}

// Writes fetched images to their buckets in the background: a bounded set of finished bodies, each retried until it is
// stored or given up. A body on disk has a note beside it, so that the next start can adopt it (adopt.ts). It fetches
// nothing.

import { setMaxListeners } from "node:events";
import { setTimeout as delay, setImmediate as nextTurn } from "node:timers/promises";
import { createKeyLocks } from "../../async/key-locks.ts";
import { LiveMap, LiveSet } from "../../async/live-map.ts";
import type { PutResult } from "../../bucket/contract/driver.ts";
import { asHuiyuanError, type ErrorCode, HuiyuanError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import type { Key } from "../../core/object.ts";
import { createFailureLog } from "../failure-log.ts";
import type { MirrorMeter } from "../meter.ts";
import { createBatching } from "./batching.ts";
import { createDesyncedImages } from "./desync.ts";
import { leaveNote, removeNote } from "./note.ts";
import { createPendingRoom, type PendingRoomOptions } from "./pending-room.ts";
import { putFetched } from "./put-fetched.ts";
import { type FetchedVersion, isEarlier } from "./versions.ts";
import { fateOf, idOf, isStillThere, type WriteBackTask } from "./write-back-task.ts";

export interface WriteBack {
  /**
   * Takes over the fill's hold on the spool. Resolves once the object is stored, was already there or is no longer
   * wanted; with the reason if it was given up.
   */
  store(task: WriteBackTask): Promise<HuiyuanError | undefined>;
  /**
   * Resolves once every body of this key was tried at least once; with the one that the store refused and that waits
   * for a retry.
   */
  waitForTries(bucketId: string, key: Key): Promise<FetchedVersion | undefined>;
  /** Retries the waiting body of this key at once. */
  retryNow(bucketId: string, key: Key): void;
  /** The bodies that are not stored yet, and the age of the oldest in milliseconds. */
  backlog(): { readonly depth: number; readonly oldestMs: number };
  /**
   * For the stop: retries every waiting body once, at once. A body on disk that fails then stays there with its note,
   * for the next start. Resolves when no body is left, or after `deadlineMs`.
   */
  drain(deadlineMs: number): Promise<void>;
}

export interface WriteBackOptions extends PendingRoomOptions {
  readonly now: () => number;
  readonly log: Log;
  readonly meter: Pick<MirrorMeter, "stored" | "notStored">;
  /** The largest number of unstored bodies, tried or not; a further one is given up at once. */
  readonly maxQueued?: number;
  /**
   * Small bodies in memory wait for at most this time, to be stored together with one write to the disk. Milliseconds;
   * default 0.
   */
  readonly batchMs?: number;
  /** They are stored as soon as no other has arrived for this time. Milliseconds; default `batchMs`. */
  readonly quietMs?: number;
  /** Waits between attempts, milliseconds; after the last the body is given up and counted as not stored. */
  readonly retryMs?: readonly number[];
}

const MAX_QUEUED = 4_096;
/** A larger body is written to a file of its own, so that waiting for others would spare nothing. */
const MAX_BATCHED_BYTES = 262_144;
const RETRY_MS = [500, 1_000, 2_000, 5_000, 10_000, 30_000];

// Failures of the disk, which may recover within a minute. A retry after any other failure would end the same way.
const RETRYABLE: readonly ErrorCode[] = ["store_full", "store_failed"];

interface Running {
  /** Names its bucket and key. */
  readonly id: string;
  /** As store(). */
  done: Promise<HuiyuanError | undefined>;
  readonly since: number;
  readonly task: WriteBackTask;
  wasTried: boolean;
  /** The store has also refused a later body of its key, which is retried in its place. */
  isSuperseded: boolean;
  /** Ends the wait for the next attempt. */
  wake: (() => void) | undefined;
  /** Called after the first attempt; almost always empty. */
  waiting: (() => void)[] | undefined;
}

/** Field by field: V8 takes microseconds to add to a spread object. */
function newItem(id: string, task: WriteBackTask, since: number): Running {
  const done = Promise.resolve(undefined);
  return { id, done, since, task, wasTried: false, isSuperseded: false, wake: undefined, waiting: undefined };
}

export function createWriteBack(options: WriteBackOptions): WriteBack {
  const { now, log, meter, maxQueued = MAX_QUEUED, retryMs = RETRY_MS, batchMs = 0, quietMs = batchMs } = options;
  const failures = createFailureLog(log, {});
  const running = new LiveSet<Running>();
  const locks = createKeyLocks();
  /** By key: the body that was requested last. */
  const latest = new LiveMap<string, Running>();
  /** By key: the one body that the store refused and that is retried. */
  const refused = new LiveMap<string, Running>();
  const draining = new AbortController();
  const nextBatch = createBatching({ batchMs, quietMs, signal: draining.signal });
  const desynced = createDesyncedImages({ log, retryMs, signal: draining.signal });
  const pendingRoom = createPendingRoom(options);
  // Every waiting body adds a listener; Node 20 warns of a leak above ten.
  setMaxListeners(0, draining.signal);

  /** Undefined: stored, or not needed, since the bucket has a later version or the origin has withdrawn this one. */
  async function attempt({ id, task }: Running): Promise<HuiyuanError | undefined> {
    const { stored, info, epoch } = task;
    try {
      const result = fateOf(task) === "wanted" ? await putUnlessOvertaken(id, task) : undefined;
      if (result !== undefined) report(task, result);
      const fate = fateOf(task);
      if (fate !== "wanted") await stored.invalidateVersion(info, epoch, fate);
      // An earlier version that waits for a retry need not wait any longer.
      if (result === "stored") refused.get(id)?.wake?.();
      return undefined;
    } catch (error) {
      return asHuiyuanError(error);
    }
  }

  /**
   * Skips a version that a later one has overtaken: else many versions of a key would wait for the disk one after
   * another.
   */
  function putUnlessOvertaken(id: string, task: WriteBackTask): Promise<PutResult> {
    const { stored, body, info } = task;
    const last = latest.get(id)?.task;
    if (last === undefined || last === task || !isEarlier(task, last)) return putFetched(stored, body, task);
    return stored.reportRefused(info).then(() => "outdated");
  }

  function report(task: WriteBackTask, result: PutResult): void {
    if (result === "stored") meter.stored(task.info.size);
    else
      log.debug({ bucket: task.stored.bucketId, key: task.info.key, result }, "not stored: the key has changed since");
  }

  /** `left`: the body stays on disk with its note. An error: the reason why it was given up. */
  async function storeWithRetries(item: Running, hasNote: boolean): Promise<"settled" | "left" | HuiyuanError> {
    const { task } = item;
    const about = { bucket: task.stored.bucketId, key: task.info.key };
    for (const waitMs of [...retryMs, undefined]) {
      // One write of a key at a time, so that a later version replaces the earlier one.
      const failure = await locks.hold([item.id], () => attempt(item));
      if (failure === undefined) return "settled";
      const isThere = await isStillThere(task.body);
      if (draining.signal.aborted && hasNote && isThere) {
        log.warn({ ...about, err: failure }, "left an image for the next start to store");
        return "left";
      }
      const isRetryable = RETRYABLE.includes(failure.code) && isThere;
      if (
        waitMs === undefined ||
        draining.signal.aborted ||
        !isRetryable ||
        !pendingRoom.mayWait(task.body, running.size)
      ) {
        meter.notStored(failure.code);
        failures.error("given_up", { ...about, err: failure }, "gave up storing an image");
        return failure;
      }
      failures.warn("tried_again", { ...about, err: failure, waitMs }, "will retry to store an image");
      if (!(await untilNextTry(item, waitMs))) return "settled";
    }
    return "settled";
  }

  /**
   * False: another body is retried in its place. A stale image is fetched again while it waits, so a key may have many
   * bodies.
   */
  async function untilNextTry(item: Running, waitMs: number): Promise<boolean> {
    if (item.isSuperseded) return false;
    const { task, id } = item;
    const other = refused.get(id);
    if (other !== undefined && other !== item) {
      if (isEarlier(task, other.task) || task.info.isSuspect) return false;
      other.isSuperseded = true;
      other.wake?.();
    }
    refused.set(id, item);
    markTried(item);
    // The origin has withdrawn it during the attempt: the next one removes it at once.
    if (fateOf(task) !== "wanted") return true;
    const woken = new Promise<void>((resolve) => {
      item.wake = resolve;
    });
    const leave = pendingRoom.enter(task.body);
    // drain() ends the wait.
    const waited = delay(waitMs, undefined, { ref: false, signal: draining.signal }).catch(() => undefined);
    await Promise.race([waited, woken]);
    leave();
    return !item.isSuperseded;
  }

  function markTried(item: Running): void {
    item.wasTried = true;
    for (const resolve of item.waiting ?? []) resolve();
    item.waiting = undefined;
  }

  async function run(item: Running): Promise<HuiyuanError | undefined> {
    const { task, id } = item;
    // Only bodies in memory wait for a batch: a body in a file needs its note at once. After a crash the others are
    // fetched again.
    const { content, size } = task.body;
    const isBatched = batchMs > 0 && content.kind === "buffer" && size <= MAX_BATCHED_BYTES;
    if (isBatched && !draining.signal.aborted) await nextBatch();
    const note = await leaveNote(task, log);
    // Until the release below the hold keeps the file.
    const outcome = await storeWithRetries(item, note !== undefined);
    markTried(item);
    if (refused.size > 0 && refused.get(id) === item) refused.delete(id);
    if (outcome === "left") return undefined;
    await removeNote(note);
    task.spool.release();
    return outcome === "settled" ? undefined : outcome;
  }

  /**
   * A closure over the id alone: a desync lives as long as its connection, and would else keep the whole task in
   * memory.
   */
  function waker(id: string): () => void {
    return () => refused.get(id)?.wake?.();
  }

  async function whenIdle(): Promise<void> {
    // A fill that has just ended hands its body over within this turn.
    await nextTurn();
    while (running.size > 0) await Promise.allSettled([...running].map(({ done }) => done));
    await Promise.all(desynced.pending());
  }

  /** The store is far behind: the image is not stored, and the next request fetches it again. */
  async function giveUp({ spool, info: { key } }: WriteBackTask): Promise<HuiyuanError> {
    meter.notStored("overloaded");
    // Readers of the body have holds of their own by the end of this turn.
    setImmediate(() => spool.release());
    return new HuiyuanError("overloaded", `Cannot store "${key}": too many images wait for the store`);
  }

  return {
    store(task) {
      const id = idOf(task.stored.bucketId, task.info.key);
      if (task.desync !== undefined) desynced.watch(task.desync, task, waker(id));
      if (running.size >= maxQueued) return giveUp(task);
      const item = newItem(id, task, now());
      const leave = running.add(item);
      const before = latest.get(id);
      if (!task.info.isSuspect && (before === undefined || !isEarlier(task, before.task))) latest.set(id, item);
      item.done = run(item).finally(() => {
        leave();
        if (latest.get(id) === item) latest.delete(id);
      });
      return item.done;
    },
    async waitForTries(bucketId, key) {
      const all: Promise<void>[] = [];
      for (const item of running) {
        const { stored, info } = item.task;
        if (item.wasTried || info.key !== key || stored.bucketId !== bucketId) continue;
        all.push(
          new Promise((resolve) => {
            item.waiting = [...(item.waiting ?? []), resolve];
          }),
        );
      }
      await Promise.all(all);
      const task = refused.get(idOf(bucketId, key))?.task;
      return task !== undefined && fateOf(task) === "wanted" ? task : undefined;
    },
    retryNow: (bucketId, key) => waker(idOf(bucketId, key))(),
    backlog() {
      const { first, size } = running;
      return { depth: size, oldestMs: first === undefined ? 0 : now() - first.since };
    },
    async drain(deadlineMs) {
      draining.abort();
      await Promise.race([whenIdle(), delay(deadlineMs, undefined, { ref: false })]);
    },
  };
}

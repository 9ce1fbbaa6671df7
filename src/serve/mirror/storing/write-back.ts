// Writes fetched images to their buckets in the background: a bounded set of finished bodies, each retried until it is
// stored or given up. A body on disk has a recovery file beside it, so that the next start can adopt it (adopt.ts). It
// fetches nothing.
import { setMaxListeners } from "node:events";
import { setTimeout as delay, setImmediate as nextTurn } from "node:timers/promises";
import type { Cancellation } from "../../../async/cancellation.ts";
import { LiveMap, LiveSet } from "../../../async/live-map.ts";
import { asHuiyuanError, type ErrorCode, errorKind, HuiyuanError } from "../../../core/errors.ts";
import type { Log } from "../../../core/log.ts";
import type { Spool, WholeBody } from "../../body/spool/spool.ts";
import type { PutResult } from "../../bucket/contract/driver.ts";
import { createFailureLog } from "../failure-log.ts";
import type { Fill } from "../fill/fill.ts";
import type { MirrorMeter } from "../meter.ts";
import type { PendingWrite, TrackedFetch } from "../stored/pending-writes.ts";
import type { Stored } from "../stored/stored.ts";
import type { Fetched } from "../stored/stored-changes.ts";
import { createBatching } from "./batching.ts";
import { createDesyncedImages } from "./desync.ts";
import { isStillThere, removeRecoveryFile, writeRecoveryFile } from "./recovery-file.ts";

/** One finished body that is to be written to a bucket. */
export interface WriteBackTask extends Fetched {
  readonly stored: Stored;
  readonly body: WholeBody;
  readonly spool: Pick<Spool, "release">;
  /** Once raised, the body is not stored any more, and the image stored under the key is removed. */
  readonly desync?: Cancellation | undefined;
  /** Serves the image while its write is pending. */
  readonly fill?: Fill | undefined;
  /** Default: one that begins now. */
  readonly fetch?: TrackedFetch | undefined;
  /** The path of a recovery file that exists already. */
  readonly recoveryPath?: string | undefined;
  /** Checks a body of an earlier run, and returns it with its block sums; undefined if it is damaged. */
  readonly prove?: (() => Promise<WholeBody | undefined>) | undefined;
}

export interface WriteBack {
  /**
   * Takes over the fill's hold on the spool. Resolves once the object is stored, was already there or is no longer
   * wanted; with the reason if it was given up.
   */
  store(task: WriteBackTask): Promise<HuiyuanError | undefined>;
  /** The bodies that are not stored yet, and the age of the oldest in milliseconds. */
  backlog(): { readonly depth: number; readonly oldestMs: number };
  /**
   * For the stop: retries every waiting body once, at once. A body on disk that fails then stays there with its
   * recovery file, for the next start. Resolves when no body is left, or after `deadlineMs`.
   */
  drain(deadlineMs: number): Promise<void>;
}

export interface WriteBackOptions {
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
  /** While more bodies are unstored, none waits for a retry. */
  readonly maxWaiting?: number;
  /** Bytes of all that wait for a retry, in memory and in files; once reached, no further body may wait. */
  readonly maxWaitingBytes?: number;
  /** As SpoolPool.room, half of which files may take; the rest is for bodies that arrive. Default: no bound. */
  readonly room?: () => number;
}

const MAX_QUEUED = 4_096;
const MAX_WAITING = 1_000;
const MAX_WAITING_BYTES = 268_435_456;
/** A larger body is written to a file of its own, so that waiting for others would spare nothing. */
const MAX_BATCHED_BYTES = 262_144;
const RETRY_MS = [500, 1_000, 2_000, 5_000, 10_000, 30_000];

interface Running extends PendingWrite {
  readonly task: WriteBackTask;
  /** Equal for writes of the same key. */
  readonly id: string;
  readonly since: number;
  /** As store(). */
  done: Promise<HuiyuanError | undefined>;
  recoveryPath: WriteBackTask["recoveryPath"];
  /** The next wait for a retry ends at once. */
  isWoken: boolean;
  /** Ends the wait for a retry that runs. */
  wake: (() => void) | undefined;
}

export function createWriteBack(options: WriteBackOptions): WriteBack {
  const { now, log, meter, maxQueued = MAX_QUEUED, retryMs = RETRY_MS, batchMs = 0, quietMs = batchMs } = options;
  const { maxWaiting = MAX_WAITING, maxWaitingBytes = MAX_WAITING_BYTES, room = () => Infinity } = options;
  const failures = createFailureLog(log, {});
  const running = new LiveSet<Running>();
  /** The last write of each key. */
  const writes = new LiveMap<string, Promise<HuiyuanError | undefined>>();
  const draining = new AbortController();
  const nextBatch = createBatching(batchMs, quietMs, draining.signal);
  const desynced = createDesyncedImages({ log, retryMs, signal: draining.signal });
  let waitingBytes = 0;
  // Every waiting body adds a listener; Node 20 warns of a leak above ten.
  setMaxListeners(0, draining.signal);

  /** Field by field: V8 takes microseconds to add to a spread object. */
  function newItem(task: WriteBackTask): Running {
    const { stored, info, epoch, fill, fetch = stored.pendingWrites.begin(info.key), recoveryPath } = task;
    const item: Running = {
      task,
      id: `${stored.bucketId}\n${info.key}`,
      since: now(),
      done: Promise.resolve(undefined),
      info,
      epoch,
      fill,
      fetch,
      recoveryPath,
      isWoken: false,
      wake: undefined,
      tryNow: () => tryNow(item),
      giveUp() {
        void removeRecoveryFile(item.recoveryPath);
        wake(item);
      },
    };
    return item;
  }

  function wake(item: Running): void {
    item.isWoken = true;
    item.wake?.();
  }

  const isWanted = (item: Running) => item.task.stored.pendingWrites.has(item);

  /** One write of a key at a time, so that a later version replaces the earlier one. */
  function tryNow(item: Running): Promise<HuiyuanError | undefined> {
    const earlier = writes.get(item.id);
    const write = earlier === undefined ? attempt(item) : earlier.then(() => attempt(item));
    writes.set(item.id, write);
    void write.then(() => {
      if (writes.get(item.id) === write) writes.delete(item.id);
    });
    return write;
  }

  /** Undefined: stored, or given up because a later version is pending or the origin has withdrawn this one. */
  async function attempt(item: Running): Promise<HuiyuanError | undefined> {
    const { info, epoch, fetch, task } = item;
    const { stored } = task;
    try {
      if (isWanted(item)) {
        const body = task.prove === undefined ? task.body : await task.prove();
        report(task, body && (await stored.putFetched(body, task)));
        stored.pendingWrites.remove(item);
        wake(item);
      } else {
        // The recovery file goes first: the next start would store the body.
        await removeRecoveryFile(item.recoveryPath);
        if (fetch.withdrawn === undefined) await stored.reportRefused(info);
      }
      if (fetch.withdrawn !== undefined) await stored.invalidateVersion(info, epoch, fetch.withdrawn);
      return undefined;
    } catch (error) {
      return asHuiyuanError(error);
    }
  }

  function report({ stored, info }: WriteBackTask, result: PutResult | undefined): void {
    const about = { bucket: stored.bucketId, key: info.key };
    if (result === "stored") meter.stored(info.size);
    else if (result === undefined) log.warn(about, "the file of an unstored image is damaged: it is fetched again");
    else log.debug({ ...about, result }, "not stored: the key has changed since");
  }

  async function run(item: Running, isAdded: boolean): Promise<HuiyuanError | undefined> {
    const { task } = item;
    const { pendingWrites } = task.stored;
    const leave = running.add(item);
    try {
      // Readers of the body have holds of their own by the end of this turn.
      if (!isAdded) await nextTurn();
      else if (isBatched(task.body)) await nextBatch();
      else item.recoveryPath ??= await writeRecoveryFile(task, log);
      // Until the release below the hold keeps the file.
      const failure = await tryNow(item);
      const outcome = failure === undefined ? "settled" : await retry(item, failure);
      pendingWrites.remove(item);
      pendingWrites.end(item.fetch);
      if (outcome === "left") return undefined;
      if (item.recoveryPath !== undefined) await removeRecoveryFile(item.recoveryPath);
      task.spool.release();
      return outcome === "settled" ? undefined : outcome;
    } finally {
      leave();
    }
  }

  /**
   * Only bodies in memory wait for a batch: a body in a file needs its recovery file at once. After a crash the others
   * are fetched again.
   */
  function isBatched({ content, size }: WholeBody): boolean {
    return batchMs > 0 && content.kind === "buffer" && size <= MAX_BATCHED_BYTES && !draining.signal.aborted;
  }

  /** `left`: the body stays on disk with its recovery file. An error: the reason why it was given up. */
  async function retry(item: Running, first: HuiyuanError): Promise<"settled" | "left" | HuiyuanError> {
    const { task, info } = item;
    const about = { bucket: task.stored.bucketId, key: info.key };
    let failure: HuiyuanError | undefined = first;
    for (const waitMs of [...retryMs, undefined]) {
      const isPossible = !isWanted(item) || (await isStillThere(task.body));
      const { aborted: isDraining } = draining.signal;
      if (isDraining && item.recoveryPath !== undefined && isPossible && isWanted(item)) {
        log.warn({ ...about, err: failure }, "left an image for the next start to store");
        return "left";
      }
      // A retry after any failure but one of the disk would end the same way.
      const isRetryable = isPossible && errorKind(failure) === "disk" && mayWait(task.body);
      if (waitMs === undefined || isDraining || !isRetryable) {
        meter.notStored(failure.code);
        failures.error("given_up", { ...about, err: failure }, "gave up storing an image");
        return failure;
      }
      failures.warn("tried_again", { ...about, err: failure, waitMs }, "will retry to store an image");
      await untilNextTry(item, waitMs);
      failure = await tryNow(item);
      if (failure === undefined) break;
    }
    return "settled";
  }

  /** Checked before every wait: free disk space may have shrunk. One body may wait if there is any room. */
  function mayWait({ content }: WholeBody): boolean {
    const maxBytes = content.kind === "file" ? Math.min(maxWaitingBytes, room() / 2) : maxWaitingBytes;
    return running.size <= maxWaiting && waitingBytes < maxBytes;
  }

  async function untilNextTry(item: Running, waitMs: number): Promise<void> {
    if (!item.isWoken) {
      const { size } = item.info;
      waitingBytes += size;
      const woken = new Promise<void>((resolve) => {
        item.wake = resolve;
      });
      // drain() ends the wait.
      const waited = delay(waitMs, undefined, { ref: false, signal: draining.signal }).catch(() => undefined);
      await Promise.race([waited, woken]);
      waitingBytes -= size;
    }
    item.isWoken = false;
  }

  async function whenIdle(): Promise<void> {
    // A fill that has just ended hands its body over within this turn.
    await nextTurn();
    while (running.size > 0) await Promise.allSettled([...running].map(({ done }) => done));
    await Promise.all(desynced.pending());
  }

  /** The image is not stored, and the next request fetches it again. */
  async function giveUp({ spool, info: { key } }: WriteBackTask, code: ErrorCode, why: string): Promise<HuiyuanError> {
    meter.notStored(code);
    // Readers of the body have holds of their own by the end of this turn.
    setImmediate(() => spool.release());
    return new HuiyuanError(code, `Cannot store "${key}": ${why}`);
  }

  return {
    store(task) {
      if (task.desync?.aborted === true) return giveUp(task, "origin_unexpected", "it may belong to another request");
      if (running.size >= maxQueued) return giveUp(task, "overloaded", "too many images wait for the store");
      if (task.desync !== undefined) desynced.watch(task.desync, task);
      const item = newItem(task);
      item.done = run(item, task.stored.pendingWrites.add(item));
      return item.done;
    },
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

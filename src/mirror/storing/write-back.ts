// Storing what fills brought, off the client's path: a bounded set of finished bodies, each tried again until it is
// stored or given up. Bodies on disk leave a note beside the file, so that a restart adopts them (adopt.ts).

import { setMaxListeners } from "node:events";
import { access } from "node:fs/promises";
import { setTimeout as delay, setImmediate as nextTurn } from "node:timers/promises";
import { createKeyLocks } from "../../async/key-locks.ts";
import { LiveMap, LiveSet } from "../../async/live-map.ts";
import type { Spool, WholeBody } from "../../body/spool/spool.ts";
import type { PutResult } from "../../bucket/contract/driver.ts";
import { asHuiyuanError, type ErrorCode, HuiyuanError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import type { Key } from "../../core/object.ts";
import type { Desync } from "../../origin/dial/desync.ts";
import { createFailureLog } from "../failure-log.ts";
import type { MirrorMeter } from "../meter.ts";
import type { Stored } from "../stored/stored.ts";
import { createBatching } from "./batching.ts";
import { createDesyncedImages } from "./desync.ts";
import { leaveNote, removeNote } from "./note.ts";
import { createPendingRoom, type PendingRoomOptions } from "./pending-room.ts";
import type { Fate } from "./pending-writes.ts";
import { type Fetched, putFetched } from "./put-fetched.ts";
import { type FetchedVersion, isEarlier } from "./versions.ts";

/** One finished body on its way into a bucket. */
export interface WriteBackTask extends Fetched {
  readonly stored: Stored;
  readonly body: WholeBody;
  readonly spool: Spool;
  /** Raised, it is stored no more, and what is stored under the key is dropped. */
  readonly desync?: Desync | undefined;
  /** What the origin has said since; default: it is wanted. */
  readonly fate?: (() => Fate) | undefined;
}

export interface WriteBack {
  /**
   * Takes over the fill's hold on the spool. Resolves when the object is stored, was already there or is no longer wanted, or with
   * why it was given up.
   */
  store(task: WriteBackTask): Promise<HuiyuanError | undefined>;
  /** Resolves when each body that was handed over for this key has been tried: with the one that waits for another try. */
  waitForTries(bucketId: string, key: Key): Promise<FetchedVersion | undefined>;
  /** What waits for another try has it at once. */
  retryNow(bucketId: string, key: Key): void;
  /** Bodies not stored yet, and how long the oldest has waited, in milliseconds. */
  backlog(): { readonly depth: number; readonly oldestMs: number };
  /**
   * For the stop: whatever waits is tried once more, at once. A body on disk that fails then stays there with its note,
   * for the next start. Resolves when nothing is under way; gives up waiting after `deadlineMs`.
   */
  drain(deadlineMs: number): Promise<void>;
}

export interface WriteBackOptions extends PendingRoomOptions {
  readonly now: () => number;
  readonly log: Log;
  readonly meter: MirrorMeter;
  /** Bodies on their way at the most, tried or not; one more is given up at once. */
  readonly maxQueued?: number;
  /** So long bodies in memory gather before they are stored, together and thus with one write to the disk. Milliseconds; 0 where absent. */
  readonly batchMs?: number;
  /** When no other has come for so long, they are stored at once. Milliseconds; `gatherMs` where absent. */
  readonly quietMs?: number;
  /** Waits between tries, milliseconds; after the last the body is given up and counted as not stored. */
  readonly retryMs?: readonly number[];
}

const MAX_QUEUED = 4_096;
const RETRY_MS = [500, 1_000, 2_000, 5_000, 10_000, 30_000];

// Failures of the disk, which may be well again in a minute; any other would be the same.
const PASSING: readonly ErrorCode[] = ["store_full", "store_failed"];

interface Running {
  /** Of its bucket and key. */
  readonly id: string;
  /** As store(). */
  done: Promise<HuiyuanError | undefined>;
  readonly since: number;
  readonly task: WriteBackTask;
  isTried: boolean;
  /** A later body for its key has come, which the store refuses too. */
  isSuperseded: boolean;
  /** Ends the wait for the next try. */
  wake: (() => void) | undefined;
  /** Who waits for the first try; hardly ever anybody. */
  waiting: (() => void)[] | undefined;
}

/** What became of it meanwhile, by its origin's word or its connection's. */
function fateOf({ desync, fate }: WriteBackTask): Fate {
  return desync?.isRaised === true ? "gone" : (fate?.() ?? "wanted");
}

/** Name by name: V8 takes microseconds to add to a spread object. */
function untried(id: string, task: WriteBackTask, since: number): Running {
  const done = Promise.resolve(undefined);
  return { id, done, since, task, isTried: false, isSuperseded: false, wake: undefined, waiting: undefined };
}

function idOf(bucketId: string, key: Key): string {
  return `${bucketId}\n${key}`;
}

export function createWriteBack(options: WriteBackOptions): WriteBack {
  const { now, log, meter, maxQueued = MAX_QUEUED, retryMs = RETRY_MS, batchMs = 0, quietMs = batchMs } = options;
  const failures = createFailureLog(log, {});
  const running = new LiveSet<Running>();
  const locks = createKeyLocks();
  /** Of each key the body that was asked for last. */
  const latest = new LiveMap<string, Running>();
  /** Of each key the one body that the store refuses and that is tried again. */
  const refused = new LiveMap<string, Running>();
  const draining = new AbortController();
  const gathered = createBatching({ batchMs, quietMs, signal: draining.signal });
  const desynced = createDesyncedImages({ log, retryMs, signal: draining.signal });
  const pendingRoom = createPendingRoom(options);
  // Every waiting body listens; Node 20 takes more than ten for a leak.
  setMaxListeners(0, draining.signal);

  /** Undefined: stored, or settled by what the bucket already knew, or by what the origin has said since. */
  async function attempt({ id, task }: Running): Promise<HuiyuanError | undefined> {
    const { stored, info, epoch } = task;
    try {
      const result = fateOf(task) === "wanted" ? await putUnlessOutrun(id, task) : undefined;
      if (result !== undefined) settled(task, result);
      const fate = fateOf(task);
      if (fate !== "wanted") await stored.invalidateVersion(info, epoch, fate);
      // An earlier version that waits has nothing more to wait for.
      if (result === "stored") refused.get(id)?.wake?.();
      return undefined;
    } catch (error) {
      return asHuiyuanError(error);
    }
  }

  /** Of many versions that come one after another each would wait for the disk before the next. */
  function putUnlessOutrun(id: string, task: WriteBackTask): Promise<PutResult> {
    const { stored, body, info } = task;
    const last = latest.get(id)?.task;
    if (last === undefined || last === task || !isEarlier(task, last)) return putFetched(stored, body, task);
    return stored.refused(info).then(() => "outdated");
  }

  function settled(task: WriteBackTask, result: PutResult): void {
    if (result === "stored") meter.stored(task.info.size);
    else log.debug({ bucket: task.stored.bucketId, key: task.info.key, result }, "not stored: the key has moved on");
  }

  /** `left`: the body stays on disk with its note. An error: why it was given up. */
  async function bring(item: Running, hasNote: boolean): Promise<"settled" | "left" | HuiyuanError> {
    const { task } = item;
    const about = { bucket: task.stored.bucketId, key: task.info.key };
    for (const waitMs of [...retryMs, undefined]) {
      // A later version goes over the one that was on its way before it.
      const failure = await locks.hold([item.id], () => attempt(item));
      if (failure === undefined) return "settled";
      const isThere = await isStillThere(task.body);
      if (draining.signal.aborted && hasNote && isThere) {
        log.warn({ ...about, err: failure }, "left an image for the next start to store");
        return "left";
      }
      const isRetryable = PASSING.includes(failure.code) && isThere;
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
      failures.warn("tried_again", { ...about, err: failure, waitMs }, "will try to store again");
      if (!(await untilNextTry(item, waitMs))) return "settled";
    }
    return "settled";
  }

  /** False: another body is tried in its place. What ages is fetched anew while it waits, so that a key may have many. */
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
    tellTried(item);
    // It has been taken back while it was tried.
    if (fateOf(task) !== "wanted") return true;
    const woken = new Promise<void>((resolve) => {
      item.wake = resolve;
    });
    const leave = pendingRoom.enter(task.body);
    // The stop cuts it short.
    const waited = delay(waitMs, undefined, { ref: false, signal: draining.signal }).catch(() => undefined);
    await Promise.race([waited, woken]);
    leave();
    return !item.isSuperseded;
  }

  function tellTried(item: Running): void {
    item.isTried = true;
    for (const resolve of item.waiting ?? []) resolve();
    item.waiting = undefined;
  }

  async function run(item: Running): Promise<HuiyuanError | undefined> {
    const { task, id } = item;
    // What lies in a file gets its note first: a crash loses only what is quickly fetched again.
    if (batchMs > 0 && task.body.content.kind === "buffer" && !draining.signal.aborted) await gathered();
    const note = await leaveNote(task, log);
    // Kept, the hold keeps the file.
    const outcome = await bring(item, note !== undefined);
    tellTried(item);
    if (refused.size > 0 && refused.get(id) === item) refused.delete(id);
    if (outcome === "left") return undefined;
    await removeNote(note);
    task.spool.release();
    return outcome === "settled" ? undefined : outcome;
  }

  /** Made here, where no task is in sight: a doubt lives as long as its connection, and a closure keeps all that the place has where it is made. */
  function waker(id: string): () => void {
    return () => refused.get(id)?.wake?.();
  }

  async function emptied(): Promise<void> {
    // A fill that has just ended hands its body over within this turn.
    await nextTurn();
    while (running.size > 0) await Promise.allSettled([...running].map(({ done }) => done));
    await Promise.all(desynced.pending());
  }

  /** The store is far behind: what comes now is fetched again when it is next asked for. */
  async function giveUp({ spool, info: { key } }: WriteBackTask): Promise<HuiyuanError> {
    meter.notStored("overloaded");
    // Whoever still reads it has a hold of their own by the end of this turn.
    setImmediate(() => spool.release());
    return new HuiyuanError("overloaded", `Cannot store "${key}": too many wait for the store`);
  }

  return {
    store(task) {
      const id = idOf(task.stored.bucketId, task.info.key);
      if (task.desync !== undefined) desynced.watch(task.desync, task, waker(id));
      if (running.size >= maxQueued) return giveUp(task);
      const item = untried(id, task, now());
      const over = running.add(item);
      const before = latest.get(id);
      if (!task.info.isSuspect && (before === undefined || !isEarlier(task, before.task))) latest.set(id, item);
      item.done = run(item).finally(() => {
        over();
        if (latest.get(id) === item) latest.delete(id);
      });
      return item.done;
    },
    async waitForTries(bucketId, key) {
      const all: Promise<void>[] = [];
      for (const item of running) {
        const { stored, info } = item.task;
        if (item.isTried || info.key !== key || stored.bucketId !== bucketId) continue;
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
      await Promise.race([emptied(), delay(deadlineMs, undefined, { ref: false })]);
    },
  };
}

/** False where the store has removed the file, whose bytes the disk had refused: only the origin can give them again. */
async function isStillThere({ content }: WholeBody): Promise<boolean> {
  if (content.kind === "buffer") return true;
  return access(content.path).then(
    () => true,
    () => false,
  );
}

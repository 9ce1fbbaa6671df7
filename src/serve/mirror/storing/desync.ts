// Removes images that may belong to another request, because their connection later delivered unrequested bytes or was
// reset. Such an image counts as missing at once, and is purged as soon as the store allows.
import { setTimeout as delay } from "node:timers/promises";
import type { Cancellation } from "../../../async/cancellation.ts";
import { LiveSet } from "../../../async/live-map.ts";
import type { Log } from "../../../core/log.ts";
import type { Key, ObjectInfo } from "../../../core/object.ts";
import { createFailureLog } from "../failure-log.ts";
import type { Stored } from "../stored/stored.ts";

export interface DesyncedImages {
  /**
   * Removes the image once the desync is raised; a version that was stored since is removed too, and fetched again.
   * Keeps only the names of the task, because a desync lives as long as its connection.
   */
  watch(desync: Cancellation, task: { readonly stored: Stored; readonly info: ObjectInfo }): void;
  /** The removals that run; they never reject. */
  pending(): Iterable<Promise<void>>;
}

export interface DesyncedImagesOptions {
  readonly log: Log;
  /** Waits between attempts, milliseconds; the last one repeats. */
  readonly retryMs: readonly number[];
  /** The program is stopping: each pending removal has one more attempt. */
  readonly signal: AbortSignal;
}

const LAST_WAIT_MS = 1_000;

export function createDesyncedImages({ log, retryMs, signal }: DesyncedImagesOptions): DesyncedImages {
  const failures = createFailureLog(log, {});
  const pending = new LiveSet<Promise<void>>();

  async function remove(stored: Stored, key: Key): Promise<void> {
    const about = { bucket: stored.bucketId, key };
    const text = "its connection delivered unrequested bytes, or was reset behind it";
    log.warn(about, `removing an image that may belong to another request: ${text}`);
    const show = stored.hide(key);
    try {
      for (let round = 0; !(await isPurged(stored, key)) && !signal.aborted; round += 1) {
        const waitMs = retryMs[round] ?? retryMs.at(-1) ?? LAST_WAIT_MS;
        await delay(waitMs, undefined, { ref: false, signal }).catch(() => undefined); // An abort ends the wait.
      }
    } finally {
      show();
    }
  }

  async function isPurged(stored: Stored, key: Key): Promise<boolean> {
    try {
      await stored.purge(key, { hard: true });
      return true;
    } catch (err) {
      const about = { bucket: stored.bucketId, key, err };
      if (signal.aborted) log.error(about, "could not remove an image that may belong to another request; purge it");
      else failures.warn("not_dropped", about, "will retry to remove an image");
      return false;
    }
  }

  return {
    watch(desync, { stored, info: { key } }) {
      desync.addEventListener("abort", () => {
        const removed = remove(stored, key).finally(() => over());
        const over = pending.add(removed);
      });
    },
    pending: () => pending,
  };
}

// Images whose connection brought bytes that nobody asked for, or was reset behind them: each may be another one's. It counts as
// missing at once, and goes as soon as the store lets it.
import { setTimeout as delay } from "node:timers/promises";
import { LiveSet } from "../../async/live-map.ts";
import type { Log } from "../../core/log.ts";
import type { Key, ObjectInfo } from "../../core/object.ts";
import type { Desync } from "../../origin/dial/desync.ts";
import { createFailureLog } from "../failure-log.ts";
import type { Stored } from "../stored/stored.ts";

export interface DesyncedImages {
  /**
   * A version that has come meanwhile is dropped too, and fetched again. Of the task only its name is kept: a doubt lives as long as
   * its connection. `raised`: called at once when it is.
   */
  watch(desync: Desync, task: { readonly stored: Stored; readonly info: ObjectInfo }, raised: () => void): void;
  /** Those that are being dropped; they never reject. */
  pending(): Iterable<Promise<void>>;
}

export interface DesyncedImagesOptions {
  readonly log: Log;
  /** Waits between tries, milliseconds; the last one for ever. */
  readonly retryMs: readonly number[];
  /** The program is stopping: what waits is tried once more. */
  readonly signal: AbortSignal;
}

const LAST_WAIT_MS = 1_000;

export function createDesyncedImages({ log, retryMs, signal }: DesyncedImagesOptions): DesyncedImages {
  const failures = createFailureLog(log, {});
  const pending = new LiveSet<Promise<void>>();

  async function drop(stored: Stored, key: Key): Promise<void> {
    const about = { bucket: stored.bucketId, key };
    const text = "its connection brought bytes that nobody asked for, or was reset behind it";
    log.warn(about, `dropping an image that may be another one's: ${text}`);
    const show = stored.hide(key);
    try {
      for (let round = 0; !(await isPurged(stored, key)) && !signal.aborted; round += 1) {
        const waitMs = retryMs[round] ?? retryMs.at(-1) ?? LAST_WAIT_MS;
        await delay(waitMs, undefined, { ref: false, signal }).catch(() => undefined); // The stop cuts it short.
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
      if (signal.aborted) log.error(about, "could not drop an image that may be another one's; purge it");
      else failures.warn("not_dropped", about, "will try to drop an image again");
      return false;
    }
  }

  return {
    watch(desync, { stored, info: { key } }, raised) {
      desync.onRaised(() => {
        raised();
        const dropped = drop(stored, key).finally(() => over());
        const over = pending.add(dropped);
      });
    },
    pending: () => pending,
  };
}

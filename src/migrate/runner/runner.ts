// Runs a migration: scans the source and copies what the scan has found, at the same time. Each object's result goes to
// the journal. It knows neither vendors nor targets.
import { setMaxListeners } from "node:events";
import { asHuiyuanError, type HuiyuanError } from "../../core/errors.ts";
import type { Filters } from "../config/filters.ts";
import type { Job, Journal } from "../journal/journal.ts";
import type { Counters } from "../journal/metadata.ts";
import { type Copied, type CopyContext, copyObject } from "./copy.ts";
import { createPace, type PaceOptions } from "./pace.ts";
import { createResults } from "./results.ts";
import { createRetries, uselessRun } from "./retries.ts";
import { scan } from "./scan.ts";

export interface RunOptions extends CopyContext, PaceOptions {
  readonly journal: Journal;
  readonly filters: Filters;
  /** Attempts after the first. */
  readonly retries: number;
  /** Results wait this long for a common commit. Milliseconds. */
  readonly commitMs: number;
  /** Rows that are read from the journal at once. */
  readonly pageRows: number;
  /** True: scans again, although a scan has ended. */
  readonly rescans: boolean;
  /** True: failed jobs are tried again, whatever `error.ignore.if` says. */
  readonly retriesAll: boolean;
  /** Once aborted, no further object begins; those in flight are finished. */
  readonly stop: AbortSignal;
  /** Once aborted, objects in flight are given up too, and the next run copies them. */
  readonly kill: AbortSignal;
  readonly listener: RunListener;
}

export interface RunListener {
  scanning(): void;
  scanned(counters: Counters): void;
  /** The first object is about to be copied. */
  copying(): void;
}

export interface RunEnd {
  readonly scanFailure: HuiyuanError | undefined;
  /** The reason why the run ended before all objects were tried. */
  readonly trouble: HuiyuanError | undefined;
  readonly isStopped: boolean;
}

/** Never rejects for a failed object or scan. Results are in the journal when it resolves, unless `trouble` is its. */
export async function runMigration(options: RunOptions): Promise<RunEnd> {
  const { journal, filters, listener, stop, kill } = options;
  const ending = new AbortController();
  for (const signal of [ending.signal, kill]) setMaxListeners(0, signal);
  const pace = createPace(options);
  let [running, hasBegun, isScanning] = [0, false, false];
  let trouble: HuiyuanError | undefined;
  let scanFailure: HuiyuanError | undefined;
  let ring: () => void = () => undefined;
  let rung = Promise.resolve();
  resetBell();

  /** Resolves at the next page, end of a copy, or end of the scan. */
  function resetBell(): void {
    const before = ring;
    rung = new Promise((resolve) => {
      ring = resolve;
    });
    before();
  }

  function end(error?: unknown): void {
    if (error !== undefined) trouble ??= asHuiyuanError(error);
    ending.abort();
    resetBell();
  }

  for (const signal of [stop, kill]) {
    if (signal.aborted) end();
    signal.addEventListener("abort", () => end());
  }
  const results = createResults(journal, { commitMs: options.commitMs, fail: end });
  const retried = createRetries<Copied>({ pace, retries: options.retries, giveUp: (last) => end(uselessRun(last)) });

  async function runScan(): Promise<void> {
    isScanning = true;
    listener.scanning();
    try {
      await scan({ ...options, onPage: resetBell, signal: ending.signal });
      listener.scanned(journal.counters);
    } catch (error) {
      if (!ending.signal.aborted) scanFailure = asHuiyuanError(error);
    } finally {
      isScanning = false;
      resetBell();
    }
  }

  async function start(job: Job): Promise<void> {
    const release = await pace.begin(ending.signal);
    if (!hasBegun) listener.copying();
    hasBegun = true;
    running += 1;
    const copied = retried((signal) => copyObject(job, options, signal), kill).then(
      (found) => results.add("outcome" in found ? { job, ...found } : { job, outcome: "failed", ...found }),
      (error: unknown) => kill.aborted || end(error),
    );
    void copied.finally(() => {
      running -= 1;
      release();
      resetBell();
    });
  }

  async function whenIdle(): Promise<void> {
    while (running > 0) await rung;
    results.flush();
  }

  /** Copies the rows behind `after`, also those that the scan adds meanwhile. Returns the last row; 0: none. */
  async function copyBehind(kind: "new" | "failed", after: number): Promise<number> {
    let last = after;
    for (;;) {
      const jobs = journal.next(kind, last, options.pageRows);
      for (const job of jobs) {
        last = job.serial;
        if (kind === "new" || options.retriesAll || !filters.isFinal(job.log)) await start(job);
      }
      if (jobs.length > 0) continue;
      if (!isScanning) return last;
      await rung;
      ending.signal.throwIfAborted();
    }
  }

  async function copyAll(): Promise<void> {
    // The scan may find changes of rows that were passed already, so new rows are looked for from the beginning again.
    while ((await copyBehind("new", 0)) > 0) await whenIdle();
    await copyBehind("failed", 0);
  }

  const needsScan = options.rescans || !journal.isScanned || journal.counters.submitted === 0;
  const scanning = needsScan ? runScan() : Promise.resolve();
  try {
    await copyAll();
  } catch (error) {
    if (!ending.signal.aborted) end(error);
  }
  await scanning;
  try {
    await whenIdle();
  } catch (error) {
    end(error);
  }
  return { scanFailure, trouble, isStopped: stop.aborted || kill.aborted };
}

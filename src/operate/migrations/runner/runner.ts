// Runs a migration: scans the source and copies what the scan has found, at the same time. Each object's result goes to
// the journal. It knows neither vendors nor targets.
import { asHuiyuanError, type HuiyuanError } from "../../../core/errors.ts";
import type { Filters } from "../config/filters.ts";
import type { Job, Journal, JournalPage } from "../journal/journal.ts";
import type { Source, SourcePage } from "../source.ts";
import { type CopyContext, copyObject } from "./copy.ts";
import { createEngine, type EngineOptions } from "./engine.ts";

export interface RunOptions extends CopyContext, EngineOptions {
  readonly journal: Journal;
  readonly filters: Filters;
  /** True: scans from the beginning, although a scan has ended or was interrupted. */
  readonly rescans: boolean;
  /** True: failed jobs are tried again, whatever `error.ignore.if` says. */
  readonly retriesAll: boolean;
  /** Called with what begins or has ended; `copying`: the first object is about to be copied. */
  readonly listener: (event: "scanning" | "scanned" | "copying") => void;
}

export interface RunEnd {
  readonly scanFailure: HuiyuanError | undefined;
  /** The reason why the run ended before all objects were tried. */
  readonly abortReason: HuiyuanError | undefined;
}

/** Never rejects for a failed object or scan. Then results are in the journal, unless `abortReason` is its error. */
export async function runMigration(options: RunOptions): Promise<RunEnd> {
  const { journal, target, filters, listener } = options;
  const engine = createEngine(options);
  let scanFailure: HuiyuanError | undefined;
  let isScanning = options.rescans || journal.counters.isScanning === 1 || journal.counters.submitted === 0;

  async function runScan(): Promise<void> {
    listener("scanning");
    try {
      await scan({ ...options, rechecks: target.isNear, onPage: engine.notify, signal: engine.ending });
      listener("scanned");
    } catch (error) {
      if (!engine.ending.aborted) scanFailure = asHuiyuanError(error);
      // A source that refuses the credentials would refuse each object.
      if ([401, 403].includes(scanFailure?.originStatus ?? 0)) engine.end();
    }
    isScanning = false;
    engine.notify();
  }

  /** Also those that the scan adds meanwhile. */
  async function* newJobs(): AsyncIterable<Job> {
    for (let last: Job | undefined; ; ) {
      const mayGrow = isScanning;
      for await (const job of journal.rows("new", last)) {
        last = job;
        yield job;
      }
      if (!mayGrow) return;
      if (isScanning) await engine.changed();
    }
  }

  async function* jobs(): AsyncIterable<Job> {
    yield* newJobs();
    for await (const job of journal.rows("failed")) if (options.retriesAll || !filters.isFinal(job.log)) yield job;
  }

  const scanning = isScanning ? runScan() : undefined;
  let hasBegun = false;
  await engine.run(jobs(), {
    step(job, signal) {
      if (!hasBegun) listener("copying");
      hasBegun = true;
      return copyObject(job, options, signal);
    },
    settle: (job, found) =>
      journal.settle("outcome" in found ? { job, ...found } : { job, outcome: "failed", ...found }),
    flush: journal.flush,
  });
  await scanning;
  return { scanFailure, abortReason: engine.abortReason };
}

/** `rescans`: an interrupted scan is not continued. */
export interface ScanOptions extends Pick<RunOptions, "filters" | "journal" | "rescans"> {
  readonly source: Pick<Source, "isResumable" | "list">;
  /** True: a copied object is copied again if the listing tells neither size nor version. */
  readonly rechecks: boolean;
  /** Called after each page. */
  readonly onPage: () => void;
  readonly signal: AbortSignal;
}

/**
 * Resolves once the whole listing is in the journal. Throws the source's error and the signal's reason; the next run
 * then continues the scan.
 */
export async function scan(options: ScanOptions): Promise<void> {
  const { source, filters, journal, rechecks, onPage, rescans, signal } = options;
  const after = journal.beginScan(source.isResumable, rescans);
  for await (const page of source.list(after, signal)) {
    signal.throwIfAborted();
    journal.addPage({ ...filtered(page, filters), rechecks });
    onPage();
  }
  journal.endScan();
}

/** A name that cannot become an object passes the filters as it is shown, and an unread folder passes them always. */
export function filtered(
  { objects, failures, cursor }: SourcePage,
  { rename }: Filters,
): Omit<JournalPage, "rechecks"> {
  const kept = objects.flatMap((object) => {
    const fileid = rename(object.fileid);
    return fileid === undefined ? [] : [{ ...object, fileid }];
  });
  const broken = failures.filter(({ shown, mayHoldNames }) => mayHoldNames === true || rename(shown) !== undefined);
  const ignored = objects.length - kept.length + failures.length - broken.length;
  return { objects: kept, failures: broken, ignored, cursor };
}

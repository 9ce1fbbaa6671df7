// Compares the source with the target: lists the source into the journal, then walks the journal in the order of the
// keys. Whatever differs is marked there, so that the next start copies it again. It writes nothing else.
import type { HuiyuanError } from "../../../core/errors.ts";
import type { Job, Journal } from "../journal/journal.ts";
import type { Tally } from "../journal/verification.ts";
import { createEngine, type EngineOptions, type Item } from "../runner/engine.ts";
import { type ScanOptions, scan } from "../runner/runner.ts";
import { type CompareContext, type Compared, compareObject, found } from "./compare.ts";
import type { Manifest } from "./manifest.ts";
import { createSample, sampleSize } from "./sample.ts";

export interface VerifyOptions
  extends Omit<CompareContext, "source">,
    Omit<EngineOptions, "kill">,
    Pick<ScanOptions, "filters"> {
  readonly source: CompareContext["source"] & ScanOptions["source"];
  readonly journal: Journal;
  /** The random sample that is compared by hash; see isSample(). */
  readonly sample: string;
  /** Gets the objects that are equal by their hashes. The caller finishes it. */
  readonly manifest: Pick<Manifest, "add"> | undefined;
}

const FIRST = 10;
/** Objects that are compared, or wait until those before them are. */
const WINDOW = 1_000;

interface Entry extends Item {
  readonly job: Job;
  readonly isHashed: boolean;
  result?: Compared;
}

/** Returns the reason why it ended early, if it did, unless that is `stop`. Never rejects. */
export async function verify(options: VerifyOptions, tally: Tally): Promise<HuiyuanError | undefined> {
  const { journal, manifest, stop, target } = options;
  const engine = createEngine({ ...options, kill: stop });
  /** In the order of the keys, which the manifest needs. */
  const line: Entry[] = [];

  function settle(entry: Entry, result: Compared): void {
    entry.result = result;
    while (line[0]?.result !== undefined) count(line[0].job, line.shift()!.result!);
  }

  function count(job: Job, { outcome, reason, bytes, sha256 }: Compared): void {
    tally.done += 1;
    tally.bytes += bytes;
    if (sha256 !== undefined) tally.hashed += 1;
    if (outcome === "equal") {
      tally.equal += 1;
      if (sha256 !== undefined) manifest?.add(job.fileid, sha256);
      // Its time has changed, its bytes have not.
      if (job.isChanged) journal.settle({ job, outcome: "same", bytes: 0 });
    } else if (outcome !== "absentOnBoth") {
      const { first } = tally.findings[outcome];
      tally.findings[outcome].count += 1;
      if (first.length < FIRST) first.push({ fileid: job.fileid, reason });
    }
    if (outcome === "differs" || outcome === "missing") journal.settle({ job, outcome: "reopened" });
  }

  /** The objects that are to be compared. The others are counted. */
  async function* entries(): AsyncGenerator<Entry, void, undefined> {
    await scan({ ...options, rechecks: false, rescans: true, onPage: () => undefined, signal: engine.ending });
    tally.objects = journal.counters.submitted;
    const isSampled = createSample(sampleSize(options.sample, tally.objects), tally.objects);
    for await (const job of journal.rows("all")) {
      while (line.length >= WINDOW) await engine.changed();
      const { fileid, size, locator, isListed, log } = job;
      const isHashed = isSampled() || job.isChanged;
      const entry = { job, fileid, size, isHashed, isLookup: !isHashed };
      if (!isHashed && isListed && !target.isNear) {
        tally.done += 1;
        tally.skipped += 1;
        continue;
      }
      line.push(entry);
      if (locator === "") settle(entry, found("unread", log));
      else yield entry;
    }
  }

  await engine.run(entries(), {
    step: ({ job, isHashed }, signal) => compareObject(job, isHashed, options, signal),
    settle: (entry, result) => settle(entry, "outcome" in result ? result : found("unread", result.log)),
    flush: journal.flush,
  });
  return engine.abortReason;
}

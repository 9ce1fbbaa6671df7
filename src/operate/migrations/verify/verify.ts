// Compares the source with the target: lists the source into the journal, then walks the journal in the order of the
// keys. Whatever differs is marked there, so that the next start copies it again. It writes nothing else.
import { HuiyuanError } from "../../../core/errors.ts";
import type { FindingKind, Tally } from "../journal/database.ts";
import type { Job, Journal } from "../journal/journal.ts";
import { createEngine, type EngineOptions, type Item } from "../runner/engine.ts";
import { type ScanOptions, scan } from "../runner/runner.ts";
import type { Source } from "../source.ts";
import { type Hashed, hashBody } from "../sources/body-stream.ts";
import type { Target, TargetState } from "../target.ts";
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
  async function* entries(): AsyncIterable<Entry> {
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

/** `absentOnBoth`: neither source nor target has it. */
export type Outcome = FindingKind | "equal" | "absentOnBoth";

export interface Compared {
  readonly outcome: Outcome;
  /** Printable; empty if there is nothing to say. */
  readonly reason: string;
  /** Bytes that the source has sent. */
  readonly bytes: number;
  /** Lower-case hex, of the source's bytes. Undefined: only sizes were compared. */
  readonly sha256: string | undefined;
}

export interface CompareContext {
  readonly source: Pick<Source, "fetch">;
  readonly target: Pick<Target, "look" | "readSha256" | "isNear">;
  readonly maxBytes: number;
}

/** An object that has another size than the listing says is hashed too. Throws what describeFailure() reads. */
async function compareObject(
  job: Job,
  isHashed: boolean,
  { source, target, maxBytes }: CompareContext,
  signal: AbortSignal,
): Promise<Compared> {
  const there = await target.look(job.fileid, signal);
  if (!job.isListed) return found(there.state === "object" ? "gone" : "absentOnBoth");
  if (there.state === "deleted") return found("deleted");
  // The cause of the failed copy says more than "missing", and the next start retries it.
  if (there.state !== "object") return job.hasFailed ? found("failed", job.log) : found("missing");
  if (!isHashed && (job.size === undefined || job.size === there.size)) return found("equal");
  if (target.readSha256 === undefined && there.md5 === undefined)
    return found("unread", "the target reports no digest");
  const answer = await source.fetch({ object: job, maxBytes, signal });
  if (answer === undefined || answer.isNotModified) return found("gone");
  const here = await hashBody(answer.body, ["sha256", "md5"], signal);
  const reason = await differenceOf(here, there, target.readSha256 && (() => target.readSha256!(job.fileid, signal)));
  if (reason !== "" && job.hasFailed) return found("failed", job.log, here);
  return found(reason === "" ? "equal" : "differs", reason, here);
}

function found(outcome: Outcome, reason = "", here?: Hashed): Compared {
  return { outcome, reason, bytes: here?.size ?? 0, sha256: here?.hashes.sha256 };
}

type Present = Extract<TargetState, { readonly state: "object" }>;

/** Empty: the bytes are equal. `readSha256` undefined: the reported MD5 decides. */
async function differenceOf({ size, hashes }: Hashed, there: Present, readSha256?: () => Promise<string | undefined>) {
  if (size !== there.size) return `${size} bytes at the source, ${there.size} at the target`;
  try {
    const [name, value] = readSha256 ? (["sha256", await readSha256()] as const) : (["md5", there.md5] as const);
    if (value === undefined) return "the target has just lost it";
    return value === hashes[name] ? "" : `${name} ${hashes[name]} at the source, ${value} at the target`;
  } catch (error) {
    if (error instanceof HuiyuanError && error.code === "store_corrupt") return "its bytes at the target are damaged";
    throw error;
  }
}

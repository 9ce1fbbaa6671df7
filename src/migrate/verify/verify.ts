// Compares the source with the target: lists the source into the journal, then walks the journal in the order of the
// keys. Whatever differs is marked there, so that the next start copies it again. It writes nothing else.
import { setMaxListeners } from "node:events";
import { setImmediate as immediate } from "node:timers/promises";
import { createSemaphore, type Release } from "../../async/semaphore.ts";
import { asHuiyuanError, type HuiyuanError } from "../../core/errors.ts";
import type { Journal, KnownJob } from "../journal/journal.ts";
import { withinTime } from "../runner/copy.ts";
import { createPace, type PaceOptions } from "../runner/pace.ts";
import { createRetries, uselessRun } from "../runner/retries.ts";
import { type ScanOptions, scan } from "../runner/scan.ts";
import { type CompareContext, type Compared, compareObject, type Outcome } from "./compare.ts";
import type { Manifest } from "./manifest.ts";

export interface VerifyOptions
  extends Omit<CompareContext, "source">,
    PaceOptions,
    Omit<ScanOptions, "onPage" | "signal"> {
  /** Attempts after the first. */
  readonly retries: number;
  /** Source and target may be without progress for this time. Milliseconds. */
  readonly timeoutMs: number;
  /** Rows that are read from the journal at once. */
  readonly pageRows: number;
  /** The size of the random sample that is compared by hash, from the number of objects. */
  readonly sampleOf: (objects: number) => number;
  /** Gets the objects that are equal by their hashes. The caller finishes it. */
  readonly manifest: Pick<Manifest, "add"> | undefined;
  readonly stop: AbortSignal;
}

/** `unread`: source or target could not be read, or the name cannot become an object. */
export type FindingKind = Exclude<Outcome, "equal" | "nowhere"> | "unread";

export interface Finding {
  readonly kind: FindingKind;
  readonly fileid: string;
  /** Empty if the kind says all. */
  readonly reason: string;
}

/** It changes while verify() runs. */
export interface Tally {
  /** Rows of the journal, and those that were compared or passed over. */
  objects: number;
  done: number;
  equal: number;
  /** Compared by their hashes. */
  hashed: number;
  /** Outside of the sample, and the target is far: not compared at all. */
  skipped: number;
  /** Bytes that the source has sent. */
  bytes: number;
  readonly findings: Readonly<Record<FindingKind, { count: number; readonly first: Finding[] }>>;
}

const FIRST = 10;
/** Objects that are compared, or wait until those before them are. */
const WINDOW = 1_000;

export function createTally(): Tally {
  const none = () => ({ count: 0, first: [] });
  const findings = { differs: none(), missing: none(), gone: none(), unread: none(), deleted: none() };
  return { objects: 0, done: 0, equal: 0, hashed: 0, skipped: 0, bytes: 0, findings };
}

/** Returns the reason why it ended early, if it did. Never rejects for an object. Throws the errors of the journal. */
export async function verify(options: VerifyOptions, tally: Tally): Promise<HuiyuanError | undefined> {
  const { journal, manifest, stop } = options;
  const ending = new AbortController();
  setMaxListeners(0, ending.signal);
  const end = (error?: HuiyuanError) => ending.abort(error);
  if (stop.aborted) end();
  stop.addEventListener("abort", () => end());
  const compare = createComparison(options, ending.signal, end);
  const window: { readonly job: KnownJob; readonly compared: ReturnType<Comparison> }[] = [];
  let broken: KnownJob[] = [];

  function reopen(): void {
    if (broken.length > 0) journal.reopen(broken);
    broken = [];
  }

  async function take(): Promise<void> {
    const { job, compared } = window.shift()!;
    const result = await compared;
    const { outcome, reason, sha256 } = result;
    tally.done += 1;
    tally.bytes += result.bytes;
    if (sha256 !== undefined) tally.hashed += 1;
    if (outcome === "equal") {
      tally.equal += 1;
      if (sha256 !== undefined) manifest?.add(job.fileid, sha256);
    } else if (outcome !== "nowhere") note(tally, { kind: outcome, fileid: job.fileid, reason });
    if (outcome === "differs" || outcome === "missing") broken.push(job);
    if (broken.length >= WINDOW) reopen();
  }

  try {
    await scan({ ...options, onPage: () => undefined, signal: ending.signal });
    tally.objects = journal.counters.submitted;
    const isSampled = createSample(options.sampleOf(tally.objects), tally.objects);
    for await (const job of rowsByName(journal, options.pageRows)) {
      const isHashed = isSampled() || job.isChanged;
      if (isHashed || options.target.isNear || !job.isListed) {
        const compared = compare(job, isHashed);
        compared.catch(() => undefined); // take() gets it
        window.push({ job, compared });
      } else {
        tally.done += 1;
        tally.skipped += 1;
      }
      if (window.length >= WINDOW) await take();
      ending.signal.throwIfAborted();
    }
    while (window.length > 0) await take();
    return undefined;
  } catch (error) {
    if (ending.signal.aborted) return ending.signal.reason instanceof DOMException ? undefined : ending.signal.reason;
    return asHuiyuanError(error);
  } finally {
    end();
    await Promise.allSettled(window.map(({ compared }) => compared));
    reopen();
  }
}

type Comparison = (
  job: KnownJob,
  isHashed: boolean,
) => Promise<Omit<Compared, "outcome"> & { outcome: Outcome | "unread" }>;

/** At the pace of the runner. An object whose bytes are not read waits for none of its limits but the concurrency. */
function createComparison(options: VerifyOptions, signal: AbortSignal, end: (error: HuiyuanError) => void): Comparison {
  const pace = createPace(options);
  const looks = createSemaphore(options.concurrency);
  const retried = createRetries<Compared>({ pace, retries: options.retries, giveUp: (last) => end(uselessRun(last)) });
  return async (job, isHashed) => {
    const { locator, log } = job;
    if (locator === undefined) return { outcome: job.isListed ? "unread" : "nowhere", reason: log, ...NOTHING };
    const release: Release = isHashed ? await pace.begin(signal) : await looks.acquire(signal);
    try {
      const object = { ...job, locator };
      const found = await retried(
        (own) => withinTime(object, options, own, (limited) => compareObject(object, isHashed, options, limited)),
        signal,
      );
      return "outcome" in found ? found : { outcome: "unread", reason: found.log, ...NOTHING };
    } finally {
      release();
    }
  };
}

const NOTHING = { bytes: 0, sha256: undefined };

function note({ findings }: Tally, finding: Finding): void {
  const found = findings[finding.kind];
  found.count += 1;
  if (found.first.length < FIRST) found.first.push(finding);
}

async function* rowsByName(journal: Journal, pageRows: number): AsyncGenerator<KnownJob, void, undefined> {
  let last: KnownJob | undefined;
  for (;;) {
    // A store that answers from memory would keep signals and the progress bar waiting.
    await immediate();
    const rows = journal.nextByName(last, pageRows);
    if (rows.length === 0) return;
    yield* rows;
    last = rows.at(-1);
  }
}

/** True for `wanted` of `total` calls, each set of calls as likely as any other (Knuth's algorithm S). */
export function createSample(wanted: number, total: number, random = Math.random): () => boolean {
  let [needed, left] = [wanted, total];
  return () => {
    const isChosen = random() * left < needed;
    left -= 1;
    if (isChosen) needed -= 1;
    return isChosen;
  };
}

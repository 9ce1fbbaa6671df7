// `huiyuan migrate start`: copies everything that is not copied yet, and reports counts, duration and failures by cause
// with what to do about them.

import { once } from "node:events";
import { fstatSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { type Command, Option } from "commander";
import { type ExitCode, formatBytes, shown, stopSignal, type Terminal, untilStopped } from "../../cli/terminal.ts";
import { type CopyFlags, startJobProcess, WORKING } from "../jobs/run-input.ts";
import type { Counters } from "../journal/database.ts";
import type { JobFolder } from "../journal/job-folder.ts";
import type { Journal } from "../journal/journal.ts";
import { type CauseCount, readCauses } from "../journal/reading.ts";
import { type RunEnd, runMigration } from "../runner/runner.ts";
import { dryRun } from "./dry-run.ts";
import { print } from "./job.ts";
import { type Prepared, sourceTargetCommand, withPrepared, withSourceAndTarget } from "./prepare.ts";
import { durationText, statLine } from "./stat.ts";

const HELP = `It can be stopped or killed at any moment; the next start continues.
Failed objects are retried by the next start, unless error.ignore.if matches.
With -f a later start also copies what the source has changed since.

Exit codes: 0 all done, 1 objects failed or the run ended early, 2 wrong usage,
config or settings.

Examples:
  huiyuan migrate start --config conf/config.ini --dry-run
  huiyuan migrate start --config conf/config.ini
  huiyuan migrate start --config photos.yaml --settings huiyuan.yaml --job job`;

const CAUSES = 20;
/** Advice for failures of a cause. */
const REMEDIES: Readonly<Record<string, string>> = {
  "code -1886": "the target has other bytes: compare both, then add --overwrite newer or always (not over REST)",
  image_not_processable: "the image is damaged at the source: replace it there, or add --accept-suspect",
  origin_hash_wrong: "the image is damaged at the source: replace it there, or add --accept-suspect",
  origin_not_image: "the source sends no image: replace it, or leave it out by fileid.ignore.if",
  origin_empty: "the source sends an empty file: replace it, or leave it out by fileid.ignore.if",
  origin_blocked: "the source has a private address: add --allow-private if you mean it",
  "code -2": "check appinfo.endpoint, and that the target runs",
  "code -103": "check appinfo.endpoint: it must be the download port, not the admin port",
  "code -1893":
    "the target takes no such image over the REST API: replace it, or copy with --settings and --accept-suspect",
  origin_too_large: "raise limits.objectSize of the settings, or max.object.bytes of the config",
  url_invalid: "rename it by sub.pattern and sub.replace",
  name_refused: "rename it by sub.pattern and sub.replace",
  unlisted: "rename it at the source, put a file in place of a link, or let this user read the folder, and add -f",
  gone: "the source does not have it any more: restore it there",
};
const REMEDY = "remove the cause";

export function startCommand(terminal: Terminal): Command {
  return sourceTargetCommand(terminal, "start", "copy everything that is not copied yet", "copy into", HELP)
    .option("-f, --force", "scan the source again, for new and changed objects", false)
    .option("--dry-run", "say what would be copied, skipped and refused; change no object", false)
    .option("--accept-suspect", "also copy images whose structure or declared hash is wrong", false)
    .addOption(
      new Option("--overwrite <which>", "replace objects with other bytes; needs --settings or --admin")
        .choices(["never", "newer", "always"])
        .default("never"),
    )
    .option("--detach", "run in the background", false)
    .option("--lenient", "exit with 0 although objects failed, as the old tool did", false)
    .action(async (flags: CopyFlags) => {
      process.exitCode = await startCopy(flags, terminal);
    });
}

/** The whole run, also one that the flags put into the background. Prints every fault. */
export async function startCopy(flags: CopyFlags, terminal: Terminal): Promise<ExitCode> {
  const code = await withPrepared(flags, terminal, async (prepared) => {
    if (flags.overwrite !== "never" && prepared.bucketId === undefined) {
      terminal.err.write("Error: --overwrite needs --settings or --admin: an upload over REST never replaces. \n");
      return 2;
    }
    if (flags.dryRun) return dryRun(prepared, flags, terminal);
    if (flags.detach) return startDetached(flags, prepared.folder, terminal);
    return copy(prepared, flags, terminal);
  });
  return flags.lenient && code === 2 ? 1 : code;
}

function copy(prepared: Prepared, flags: CopyFlags, terminal: Terminal): Promise<ExitCode> {
  const { config, folder } = prepared;
  const began = performance.now();
  const bar = { terminal, json: flags.json, done: ({ counters }: Journal) => counters };
  return withSourceAndTarget(prepared, bar, async ({ clear, backlog, ...opened }) => {
    const { journal } = opened;
    const before = { ...journal.counters };
    const end = await runMigration({
      ...{ ...config.tool, ...opened, ...signals(terminal), filters: config.filters },
      rescans: flags.force,
      retriesAll: flags.overwrite !== "never" || flags.acceptSuspect,
      acceptsSuspects: flags.acceptSuspect,
      overwrite: flags.overwrite === "never" ? "none" : flags.overwrite,
      now: Date.now,
      listener(event) {
        clear();
        print(flags, terminal, ...linesOf(event, journal.counters));
      },
    });
    clear();
    const causes = await readCauses(folder.journal, CAUSES);
    const [seconds, waiting] = [(performance.now() - began) / 1_000, backlog()];
    return printReport({ flags, before, counters: journal.counters, causes, end, waiting, seconds }, terminal);
  });
}

/** The first SIGINT lets objects in flight finish, SIGTERM gives them up. A second signal ends the process at once. */
function signals(terminal: Terminal) {
  const kill = new AbortController();
  void untilStopped(["SIGTERM"]).then(() => kill.abort(new Error("stopped by SIGTERM")));
  return { stop: stopSignal(terminal, ["SIGINT"]), kill: kill.signal };
}

/** The event, and the lines of the old tool. */
function linesOf(
  event: "scanning" | "scanned" | "copying",
  { scanNew, scanChanged, scanKnown, scanIgnored, submitted }: Counters,
): [event: object, lines: readonly string[]] {
  if (event === "scanning") return [{ event }, ["submit.sh is running... "]];
  if (event === "copying") return [{ event }, ["Start uploading..."]];
  const changed = scanChanged > 0 ? [`Changed: ${scanChanged}`] : [];
  const nothing = submitted === 0 ? ["Nothing to upload"] : [];
  return [
    { event, new: scanNew, changed: scanChanged, known: scanKnown, ignored: scanIgnored },
    [`New submitted: ${scanNew}`, ...changed, `Submit failed: ${scanKnown}`, `Ignored: ${scanIgnored}`, ...nothing],
  ];
}

interface Report {
  readonly flags: CopyFlags;
  /** When the run began. */
  readonly before: Counters;
  readonly counters: Counters;
  readonly causes: readonly CauseCount[];
  readonly end: RunEnd;
  /** Objects that are not in S3 yet. */
  readonly waiting: number;
  readonly seconds: number;
}

function printReport(report: Report, terminal: Terminal): ExitCode {
  const { flags, before, counters, causes, end, waiting, seconds } = report;
  const { submitted, successful, failed } = counters;
  const gained = (name: "stored" | "same" | "deleted" | "bytes") => counters[name] - before[name];
  const [stored, same, deleted, bytes] = [gained("stored"), gained("same"), gained("deleted"), gained("bytes")];
  const left = submitted - successful - failed;
  const troubles = [end.scanFailure, end.abortReason].flatMap((error) => error?.message ?? []);
  const failures = causes.map((each) => ({ ...each, next: `${REMEDIES[each.cause] ?? REMEDY}; then start again` }));
  const rate = `${Math.round((stored + same + deleted) / Math.max(seconds, 0.001))} objects/s`;
  const others = `the same at the target: ${same}, deleted at the target: ${deleted}, not tried: ${left}`;
  const totals = { submitted, successful, failed, left, stored, same, deleted, bytes, waiting, seconds };
  print(flags, terminal, { event: "report", ...totals, failures, troubles }, [
    ...(end.scanFailure === undefined ? [] : ["submit.sh failed. "]),
    ...troubles.map(shown),
    statLine(counters),
    `Copied in this run: ${stored} objects, ${formatBytes(bytes)}, in ${durationText(seconds)} (${rate}); ${others}`,
    ...(left > 0 ? ["To continue, start again"] : []),
    ...(waiting > 0 ? [`${waiting} objects wait for S3: run huiyuan serve`] : []),
    ...(failures.length > 0 ? ["Failures by cause:"] : []),
    ...failures.map(
      ({ cause, count, example, next }) =>
        `  ${count}  ${shown(cause)}, such as: ${shown(example)}\n     ${shown(next)}`,
    ),
  ]);
  const isDone = left + failed + counters.isScanning + troubles.length === 0;
  return isDone || flags.lenient ? 0 : 1;
}

/** Runs in the background, with its output in the job folder. Returns once the run works, or has ended. */
async function startDetached(copy: CopyFlags, folder: JobFolder, { out, err }: Terminal): Promise<ExitCode> {
  mkdirSync(folder.dir, { recursive: true, mode: 0o700 });
  const output = openSync(folder.output, "a", 0o600);
  const before = fstatSync(output).size;
  const child = startJobProcess({ copy: { ...copy, detach: false } }, ["ignore", output, output, "ipc"], true);
  const [found] = await Promise.race([once(child, "message"), once(child, "exit")]);
  if (found !== WORKING) {
    err.write(readFileSync(folder.output).subarray(before));
    return found === 0 || found === 2 ? found : 1;
  }
  child.disconnect();
  child.unref();
  out.write(`Runs in the background as process ${child.pid}; its output is in ${shown(folder.output)}\n`);
  return 0;
}

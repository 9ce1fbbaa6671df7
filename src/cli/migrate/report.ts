// The report at the end of a run: counts, bytes, duration, and failures by cause with the command that retries them.

import { formatBytes } from "../../doctor/finding.ts";
import type { JobFolder } from "../../migrate/journal/job-folder.ts";
import type { Journal } from "../../migrate/journal/journal.ts";
import type { Counters } from "../../migrate/journal/metadata.ts";
import { openJournalReader } from "../../migrate/journal/reading.ts";
import type { RunEnd } from "../../migrate/runner/runner.ts";
import { type ExitCode, shown, type Terminal } from "../terminal.ts";
import { commandLine, remedyOf } from "./job.ts";
import { type EndFlags, repeated } from "./prepare.ts";
import { durationText, statLine } from "./stat.ts";

export interface StartFlags extends EndFlags {
  readonly force: boolean;
  readonly dryRun: boolean;
  readonly lenient: boolean;
  readonly detach: boolean;
  readonly acceptSuspect: boolean;
  readonly overwrite: "never" | "newer" | "always";
}

export interface ReportParts {
  readonly flags: StartFlags;
  readonly journal: Journal;
  readonly folder: JobFolder;
  /** When the run began. */
  readonly before: Counters;
  readonly end: RunEnd;
  readonly seconds: number;
}

const CAUSES = 20;

export function printReport(parts: ReportParts, terminal: Terminal): ExitCode {
  const { flags, journal, folder, before, end, seconds } = parts;
  const { counters } = journal;
  const reader = openJournalReader(folder.journal);
  const causes = reader?.causes(CAUSES) ?? [];
  reader?.close();
  const gained = (name: "stored" | "same" | "deleted" | "bytes") => counters[name] - before[name];
  const [stored, same, deleted, bytes] = [gained("stored"), gained("same"), gained("deleted"), gained("bytes")];
  const left = counters.submitted - counters.successful - counters.failed;
  const troubles = [end.scanFailure, end.trouble].flatMap((error) => (error === undefined ? [] : [error.message]));
  const isDone = left + counters.failed + counters.isScanning + troubles.length === 0;
  const retry = commandLine("start", flags, repeated(flags));
  const failures = causes.map((cause) => ({ ...cause, next: remedyOf(cause, retry) }));
  const { failed, submitted, successful } = counters;
  if (flags.json) {
    const totals = { submitted, successful, failed, left };
    const report = { event: "report", ...totals, stored, same, deleted, bytes, seconds, failures, troubles };
    terminal.out.write(`${JSON.stringify(report)}\n`);
  } else {
    if (end.scanFailure !== undefined) terminal.out.write(`submit.sh failed. \n${shown(end.scanFailure.message)}\n`);
    if (end.trouble !== undefined) terminal.out.write(`${shown(end.trouble.message)}\n`);
    const rate = `${Math.round((stored + same + deleted) / Math.max(seconds, 0.001))} objects/s`;
    const others = `the same at the target: ${same}, deleted at the target: ${deleted}, not tried: ${left}`;
    terminal.out.write(
      `${statLine(counters)}\nCopied in this run: ${stored} objects, ${formatBytes(bytes)}, in ${durationText(seconds)}` +
        ` (${rate}); ${others}\n`,
    );
    if (failures.length > 0) terminal.out.write("Failures by cause:\n");
    for (const { cause, count, example, next } of failures)
      terminal.out.write(`  ${count}  ${shown(cause)}, such as: ${shown(example)}\n     ${shown(next)}\n`);
  }
  return isDone || flags.lenient ? 0 : 1;
}

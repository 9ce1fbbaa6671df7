// `huiyuan migrate stat` and `view-failed`: read the journal, also while a run writes it.
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import type { Command } from "commander";
import { createStatusLine, formatBytes, shown, stopSignal, type Terminal } from "../../cli/terminal.ts";
import type { JobFlags } from "../jobs/run-input.ts";
import type { Counters } from "../journal/database.ts";
import { readCauses, readFailed, readStateIn } from "../journal/reading.ts";
import { folderOf, jobCommand, print } from "./job.ts";

const STAT_HELP = `On a terminal it follows until the run ends.

Examples:
  huiyuan migrate stat --config conf/config.ini
  huiyuan migrate stat --config conf/config.ini --once --json`;
const FAILED_HELP = `Example:
  huiyuan migrate view-failed --config conf/config.ini`;

const POLL_MS = 1_000;
const CAUSES = 10;
const PAGE = 1_000;

export function statCommand(terminal: Terminal): Command {
  return jobCommand(terminal, "stat", "show how far a migration is", STAT_HELP)
    .option("--once", "print one line and exit", false)
    .action(async (flags: JobFlags & { readonly once: boolean }) => {
      const folder = folderOf(flags);
      const { isShown, show, clear } = createStatusLine(terminal, flags.json || flags.once);
      const signal = stopSignal(terminal);
      const progress = createProgress();
      while (isShown && !signal.aborted && folder.runningPid() !== undefined) {
        const counters = readStateIn(folder.journal)?.counters;
        if (counters !== undefined) show(progress(counters)); // a run that has just started may not have made it yet
        await delay(POLL_MS, undefined, { signal }).catch(() => undefined); // Ctrl-C ends it
      }
      clear();
      const counters = readStateIn(folder.journal)?.counters;
      const causes = await readCauses(folder.journal, CAUSES);
      const shownCauses = isShown ? causes.map(({ cause, count }) => `  ${count}  ${shown(cause)}`) : [];
      print(flags, terminal, { ...counters, causes }, [statLine(counters), ...shownCauses]);
    });
}

/** The line of the old tool. */
export function statLine(counters?: Pick<Counters, "submitted" | "successful" | "failed">): string {
  const { submitted, successful, failed } = counters ?? { submitted: 0, successful: 0, failed: 0 };
  return `failed, successful / submitted: ${failed}, ${successful} / ${submitted}`;
}

const BAR = 20;

/** The counters of a progress bar. */
export type Done = Pick<Counters, "submitted" | "successful" | "failed" | "bytes" | "isScanning">;

/** Makes the text of a progress bar; the rate is the average since the first call. */
export function createProgress(): (counters: Done) => string {
  let first: { readonly at: number; readonly done: number } | undefined;
  return ({ submitted, successful, failed, bytes, isScanning }) => {
    const now = { at: performance.now(), done: successful + failed };
    first ??= now;
    const { done } = now;
    const rate = (1_000 * (done - first.done)) / Math.max(now.at - first.at, 1);
    const filled = submitted === 0 ? 0 : Math.floor((BAR * done) / submitted);
    const left = rate > 0 && isScanning === 0 ? `, ${durationText((submitted - done) / rate)} left` : "";
    const total = `${submitted}${isScanning === 1 ? "+" : ""}`;
    const bar = `[${"#".repeat(filled)}${".".repeat(BAR - filled)}]`;
    return `${bar} ${done}/${total}, ${formatBytes(bytes)}, ${Math.round(rate)}/s${left}, failed ${failed}`;
  };
}

export function durationText(seconds: number): string {
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function viewFailedCommand(terminal: Terminal): Command {
  return jobCommand(terminal, "view-failed", "print `fileid|reason` of each failed object", FAILED_HELP).action(
    async (flags: JobFlags) => {
      const { journal } = folderOf(flags);
      const signal = stopSignal(terminal);
      for (let after = 0; !signal.aborted; ) {
        const page = readFailed(journal, after, PAGE);
        if (page.length === 0) break;
        after = page.at(-1)!.serial;
        const lines = page.map(({ fileid, log }) =>
          flags.json ? JSON.stringify({ fileid, log }) : `${shown(fileid)}|${shown(log)}`,
        );
        if (!terminal.out.write(`${lines.join("\n")}\n`))
          await once(terminal.out, "drain", { signal }).catch((error: unknown) => {
            if (!signal.aborted) throw error;
          });
      }
    },
  );
}

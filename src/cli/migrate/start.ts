// `huiyuan migrate start`: checks the config, then copies everything that is not copied yet.
import type { Command } from "commander";
import { Option } from "commander";
import type { Journal } from "../../migrate/journal/journal.ts";
import { type RunEnd, runMigration } from "../../migrate/runner/runner.ts";
import { createStatusLine, type ExitCode, type Terminal, untilStopped } from "../terminal.ts";
import { startDetached } from "./detach.ts";
import { dryRun } from "./dry-run.ts";
import { endsCommand, openEnds, type Prepared, prepare, withJournal } from "./prepare.ts";
import { printReport, type StartFlags } from "./report.ts";
import { createProgress } from "./stat.ts";

const HELP = `It can be stopped or killed at any moment; the next start continues.
Failed objects are retried by the next start, unless error.ignore.if matches.
With -f a later start also copies what the source has changed since.

Exit codes: 0 all done, 1 objects failed or the run ended early, 2 wrong usage,
config or settings.

Examples:
  huiyuan migrate start --config conf/config.ini --dry-run
  huiyuan migrate start --config conf/config.ini
  huiyuan migrate start --config photos.yaml --settings huiyuan.yaml --job job`;

export function startCommand(terminal: Terminal): Command {
  return endsCommand(terminal, "start", "copy everything that is not copied yet", "copy into", HELP)
    .option("-f, --force", "scan the source again, for new and changed objects", false)
    .option("--dry-run", "say what would be copied, skipped and refused; change nothing", false)
    .option("--accept-suspect", "also copy images whose structure or declared hash is wrong", false)
    .addOption(
      new Option("--overwrite <which>", "replace objects with other bytes; needs --settings")
        .choices(["never", "newer", "always"])
        .default("never"),
    )
    .option("--detach", "run in the background", false)
    .option("--lenient", "exit with 0 although objects failed, as the old tool did", false)
    .action(async (flags: StartFlags) => {
      const code = await start(flags, terminal);
      process.exitCode = flags.lenient && code === 2 ? 1 : code;
    });
}

async function start(flags: StartFlags, terminal: Terminal): Promise<ExitCode> {
  const prepared = await prepare(flags, terminal);
  if (typeof prepared === "number") return prepared;
  if (flags.overwrite !== "never" && flags.settings === undefined) {
    terminal.err.write("Error: --overwrite needs --settings: an upload over the REST API never replaces. \n");
    return 2;
  }
  if (flags.dryRun) return dryRun(prepared, flags, terminal);
  if (flags.detach) return startDetached(prepared.folder, terminal);
  return withJournal(prepared, terminal, (journal) => run(prepared, flags, journal, terminal));
}

async function run(prepared: Prepared, flags: StartFlags, journal: Journal, terminal: Terminal): Promise<ExitCode> {
  const { config, folder } = prepared;
  const began = performance.now();
  const before = { ...journal.counters };
  const { close, ...ends } = await openEnds(prepared);
  const { stop, kill } = signals();
  const status = createStatusLine(terminal, flags.json);
  const progress = createProgress();
  const timer = setInterval(() => status.show(progress(journal.counters)), 1_000);
  let end: RunEnd;
  try {
    end = await runMigration({
      ...config.tool,
      ...ends,
      ...{ journal, filters: config.filters, stop, kill },
      rescans: flags.force,
      retriesAll: flags.overwrite !== "never" || flags.acceptSuspect,
      acceptsSuspects: flags.acceptSuspect,
      overwrite: flags.overwrite === "never" ? "none" : flags.overwrite,
      now: Date.now,
      listener: linesOf(flags, terminal, status.clear),
    });
  } finally {
    clearInterval(timer);
    status.clear();
    await close();
  }
  return printReport({ flags, journal, folder, before, end, seconds: (performance.now() - began) / 1_000 }, terminal);
}

/** The first SIGINT lets objects in flight finish, SIGTERM gives them up. A second signal ends the process at once. */
function signals() {
  const [stop, kill] = [new AbortController(), new AbortController()];
  void untilStopped(["SIGINT"]).then(() => stop.abort());
  void untilStopped(["SIGTERM"]).then(() => kill.abort(new Error("stopped by SIGTERM")));
  // A server that runs this as one of its migrations has ended.
  const orphaned = () => kill.abort(new Error("stopped: the server has ended"));
  if (process.connected === false) orphaned();
  else process.once("disconnect", orphaned);
  return { stop: stop.signal, kill: kill.signal };
}

/** The old tool's lines. */
function linesOf({ json }: StartFlags, { out }: Terminal, clear: () => void) {
  const write = (text: string, event: object) => {
    clear();
    out.write(json ? `${JSON.stringify(event)}\n` : text);
  };
  return {
    scanning: () => write("submit.sh is running... \n", { event: "scanning" }),
    scanned(counters: Journal["counters"]) {
      const { scanNew, scanChanged, scanKnown, scanIgnored, submitted } = counters;
      const changed = scanChanged > 0 ? `Changed: ${scanChanged}\n` : "";
      const lines = `New submitted: ${scanNew}\n${changed}Submit failed: ${scanKnown}\nIgnored: ${scanIgnored}\n`;
      const event = { event: "scanned", new: scanNew, changed: scanChanged, known: scanKnown, ignored: scanIgnored };
      write(submitted === 0 ? `${lines}Nothing to upload\n` : lines, event);
    },
    copying: () => write("Start uploading...\n", { event: "copying" }),
  };
}

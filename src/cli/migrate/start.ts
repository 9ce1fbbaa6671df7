// `huiyuan migrate start`: checks the config, then copies everything that is not copied yet.
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import type { Command } from "commander";
import { Option } from "commander";
import { HuiyuanError } from "../../core/errors.ts";
import { ConfigFaults, loadConfig, type MigrationConfig } from "../../migrate/config/config.ts";
import { INCONSISTENT, type Journal, openJournal } from "../../migrate/journal/journal.ts";
import { type RunEnd, runMigration } from "../../migrate/runner/runner.ts";
import { loadSettings } from "../../settings/load.ts";
import type { Settings } from "../../settings/schema/schema.ts";
import { bucketIdOf, openTarget } from "../../wiring/migration.ts";
import { bucketOfDomain, openSource } from "../../wiring/migration-sources.ts";
import { createLogger } from "../logger.ts";
import { createStatusLine, type ExitCode, type Terminal, untilStopped } from "../terminal.ts";
import { startDetached } from "./detach.ts";
import { dryRun } from "./dry-run.ts";
import { folderOf, jobCommand, type Prepared, printFaults, type StartFlags } from "./job.ts";
import { printReport } from "./report.ts";
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
  return jobCommand(terminal, "start", "copy everything that is not copied yet", HELP)
    .option("-f, --force", "scan the source again, for new and changed objects", false)
    .option("--settings <file>", "copy into the store of these settings; default: the REST API of the config")
    .option("--from-origin <host>", "the source is the origins of this domain of the settings; needs --settings")
    .option("--list <file>", "with --from-origin: a file with keys or URLs, - for standard input")
    .option("--sitemap <url>", "with --from-origin: the sitemap of the web site")
    .option("--allow-private", "the source may have a private address", false)
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
  let prepared: Prepared & { readonly identity: Readonly<Record<string, string>> };
  try {
    prepared = await prepare(flags, terminal);
  } catch (error) {
    return printFaults(error, terminal);
  }
  const { config, folder, identity } = prepared;
  for (const name of config.unknown) terminal.err.write(`Warning: Option ${name} is not known and has no effect. \n`);
  if (flags.overwrite !== "never" && flags.settings === undefined) {
    terminal.err.write("Error: --overwrite needs --settings: an upload over the REST API never replaces. \n");
    return 2;
  }
  if (flags.dryRun) return dryRun(prepared, terminal);
  if (flags.detach) return startDetached(folder, terminal);
  const unlock = folder.lock();
  if (unlock === undefined) {
    terminal.err.write(`Tool is already running on ${folder.dir}. \n`);
    return 1;
  }
  let journal: Journal | undefined;
  try {
    journal = openJournal(folder.journal);
    const changed = journal.begin(identity);
    if (changed.length > 0) {
      const next = "Restore them, or name another folder by --job, or run clean to begin anew.";
      terminal.err.write(`Error: The config has changed since this migration began: ${changed.join(", ")}. ${next} \n`);
      return 2;
    }
    return await run(prepared, journal, terminal);
  } catch (error) {
    if (!(error instanceof HuiyuanError) || error.message !== INCONSISTENT) throw error;
    terminal.out.write(`${INCONSISTENT}\n`);
    return 1;
  } finally {
    journal?.close();
    unlock();
  }
}

/** Throws ConfigFaults and SettingsFaults. */
async function prepare(flags: StartFlags, terminal: Terminal) {
  const source = originsOf(flags);
  // Without a source the config has no required option left.
  const file = source !== undefined && !existsSync(flags.config) ? undefined : flags.config;
  const loaded = loadConfig(file, { isStore: flags.settings !== undefined, source });
  const settings = flags.settings === undefined ? undefined : await loadSettings(flags.settings, { env: process.env });
  const config = source === undefined || settings === undefined ? loaded : ofDomain(loaded, source.host, settings);
  const place: Record<string, string> =
    settings === undefined ? {} : { "--settings": `${bucketIdOf(config.rest, settings)} in ${settings.data}` };
  const log = createLogger({
    isInteractive: terminal.isInteractive,
    level: "warn",
    destination: terminal.err as never,
  });
  // Finds the faults of the source before anything is written.
  await openSource(config.source, { ...config.tool, concurrency: 1, allowPrivate: false, log }, settings).close();
  const { host, list, sitemap } = source ?? {};
  const from = Object.entries({ "--from-origin": host, "--list": list, "--sitemap": sitemap });
  const named = Object.fromEntries(from.filter((each): each is [string, string] => each[1] !== undefined));
  const identity = { ...config.identity, ...place, ...named };
  return { flags, config, settings, folder: folderOf(flags), log, identity };
}

/** The source that flags name. Throws ConfigFaults. */
function originsOf({ fromOrigin: host, settings, list, sitemap, detach }: StartFlags) {
  const faults: string[] = [];
  if (host !== undefined && settings === undefined) faults.push("--from-origin needs --settings.");
  if (host === undefined && (list ?? sitemap) !== undefined) faults.push("--list and --sitemap need --from-origin.");
  if (list !== undefined && sitemap !== undefined) faults.push("Give --list or --sitemap, not both.");
  if (list === "-" && detach) faults.push("--detach needs a list in a file: it has no standard input.");
  if (faults.length > 0) throw new ConfigFaults(faults);
  if (host === undefined) return undefined;
  const file = list === undefined || list === "-" ? list : resolve(list);
  return { type: "origins", host: host.toLowerCase(), list: file, sitemap } as const;
}

/** The target is the domain's own bucket. Throws ConfigFaults. */
function ofDomain(config: MigrationConfig, host: string, settings: Settings): MigrationConfig {
  const own = bucketOfDomain(settings, host);
  const { appid, bucket } = config.rest ?? own;
  if (appid !== own.appid || bucket !== own.bucket)
    throw new ConfigFaults([
      `The domain ${host} belongs to ${own.appid}/${own.bucket}, but the config names ${appid}/${bucket}.`,
    ]);
  return { ...config, rest: { endpoint: "", secretId: "", secretKey: "", ...own } };
}

async function run(prepared: Prepared, journal: Journal, terminal: Terminal): Promise<ExitCode> {
  const { flags, config, settings, folder, log } = prepared;
  const began = performance.now();
  const before = { ...journal.counters };
  const parts = await openTarget({ config, settings, spoolDir: folder.spool, log });
  const source = openSource(
    config.source,
    {
      ...config.tool,
      concurrency: parts.concurrency,
      allowPrivate: flags.allowPrivate,
      log,
    },
    settings,
  );
  const { stop, kill } = signals();
  const status = createStatusLine(terminal, flags.json);
  const progress = createProgress();
  const timer = setInterval(() => status.show(progress(journal.counters)), 1_000);
  let end: RunEnd;
  try {
    const { target, spools, maxBytes, concurrency } = parts;
    end = await runMigration({
      ...config.tool,
      ...{ journal, source, target, spools, maxBytes, concurrency, filters: config.filters, stop, kill },
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
    await source.close();
    await parts.close();
  }
  return printReport({ flags, journal, folder, before, end, seconds: (performance.now() - began) / 1_000 }, terminal);
}

/** The first SIGINT lets objects in flight finish, SIGTERM gives them up. A second signal ends the process at once. */
function signals() {
  const [stop, kill] = [new AbortController(), new AbortController()];
  void untilStopped(["SIGINT"]).then(() => stop.abort());
  void untilStopped(["SIGTERM"]).then(() => kill.abort(new Error("stopped by SIGTERM")));
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

// Shared by `start`, its dry run and `verify`: checks the flags that name source and target, and opens both with the
// journal.
import { resolve } from "node:path";
import type { Command } from "commander";
import { HuiyuanError } from "../../../core/errors.ts";
import { SettingsFaults } from "../../../settings/faults.ts";
import { loadSettings } from "../../../settings/load.ts";
import type { listBuckets } from "../../admin/contract/contract.ts";
import { parseUrl } from "../../cli/admin-command.ts";
import { createLogger } from "../../cli/logger.ts";
import { runningServer, serverAt } from "../../cli/reach-server.ts";
import { createStatusLine, type ExitCode, shown, type Terminal } from "../../cli/terminal.ts";
import { ConfigFaults, loadConfig } from "../config/config.ts";
import { type SourceTargetFlags, WORKING } from "../jobs/run-input.ts";
import type { JobFolder } from "../journal/job-folder.ts";
import { type Journal, openJournal } from "../journal/journal.ts";
import type { Source } from "../source.ts";
import { type OriginListing, openSource } from "../wiring/sources.ts";
import { type MigrationTarget, openTarget, type TargetOptions, targetBucket } from "../wiring/target.ts";
import { folderOf, hasConfig, jobCommand } from "./job.ts";
import { createProgress, type Done } from "./stat.ts";

/** A checked command. */
export interface Prepared extends Omit<TargetOptions, "spoolDir"> {
  /** Opened; it has sent no request yet. */
  readonly source: Source;
  readonly folder: JobFolder;
  /** Options that decide which objects are copied where, for the comparison with those of earlier runs. */
  readonly identity: Readonly<Record<string, string>>;
}

/** `verb`: what the command does with the store of the settings. */
export function sourceTargetCommand(
  terminal: Terminal,
  name: string,
  description: string,
  verb: string,
  help: string,
): Command {
  return jobCommand(terminal, name, description, help)
    .option("--settings <file>", `${verb} the store of these settings; default: the REST API of the config`)
    .option("--admin <url>", `${verb} the running server that has this admin port`, parseUrl)
    .option("--from-origin <host>", "the source is the origins of this domain of the settings; needs --settings")
    .option("--list <file>", "with --from-origin: a file with keys or URLs, - for standard input")
    .option("--sitemap <url>", "with --from-origin: the sitemap of the web site")
    .option("--allow-private", "the source may have a private address", false);
}

/** Runs the work if flags, config and settings have no fault; else prints every fault. */
export async function withPrepared(
  flags: SourceTargetFlags,
  terminal: Terminal,
  work: (prepared: Prepared) => Promise<ExitCode>,
): Promise<ExitCode> {
  let prepared: Prepared;
  try {
    prepared = await prepare(flags, terminal);
  } catch (error) {
    if (error instanceof ConfigFaults) {
      for (const fault of error.faults) terminal.err.write(`Error: ${shown(fault)} \n`);
    } else if (error instanceof SettingsFaults) {
      // The other commands name the file by --config.
      terminal.err.write(`Error: ${error.message.replace("--config FILE", "--settings FILE")}\n`);
    } else throw error;
    return 2;
  }
  for (const name of prepared.config.unknown)
    terminal.err.write(`Warning: Option ${name} is not known and has no effect. \n`);
  return work(prepared).finally(prepared.source.close);
}

/** A bound for connections. The target decides how many objects are copied at once. */
const MAX_CONNECTIONS = 200;

/** Throws ConfigFaults and SettingsFaults, and the errors of runningServer(). */
async function prepare(flags: SourceTargetFlags, terminal: Terminal): Promise<Prepared> {
  const given = sourceOf(flags);
  // Without a source the config has no required option left.
  const file = given !== undefined && !hasConfig(flags.config) ? undefined : flags.config;
  const config = loadConfig(file, { isStore: (flags.settings ?? flags.admin) !== undefined, source: given });
  const settings = flags.settings === undefined ? undefined : await loadSettings(flags.settings, { env: process.env });
  const remote = flags.admin === undefined ? undefined : await serverAt(flags.admin);
  const listed = await remote?.client.call<typeof listBuckets>("get /buckets", {});
  const known = settings ?? listed?.buckets.map(({ bucket }) => bucket);
  const bucketId = known && targetBucket(config, known);
  const { isInteractive, err } = terminal;
  const log = createLogger({ isInteractive, level: "warn", destination: err as never });
  const { concurrency = MAX_CONNECTIONS } = config.tool;
  const server = settings && (await runningServer(settings.server))?.send;
  const admin = remote?.send ?? server;
  const { allowPrivate, isOfServer } = flags;
  const folder = folderOf(flags);
  // The callers of a server may be on another machine. The list of a request lies in the job's own folder.
  const folders = isOfServer ? [...(settings?.server.migrationFolders ?? []), folder.dir] : undefined;
  const parts = { ...config.tool, ...{ concurrency, allowPrivate, folders, log, server } };
  const source = openSource(config.source, parts, settings);
  const place = bucketId && {
    [settings ? "--settings" : "--admin"]: `${bucketId} in ${settings?.data ?? flags.admin}`,
  };
  const { host = "", list = "", sitemap = "" } = given ?? {};
  const origins = given && { "--from-origin": host, "--list": list, "--sitemap": sitemap };
  const identity = { ...config.identity, ...place, ...origins };
  return { config, bucketId, settings, admin, source, folder, log, identity };
}

/** The source that flags name. Throws ConfigFaults. */
function sourceOf(flags: SourceTargetFlags): OriginListing | undefined {
  const { fromOrigin: host, settings, admin, list, sitemap, detach } = flags;
  const faults: string[] = [];
  if (host !== undefined && settings === undefined) faults.push("--from-origin needs --settings.");
  if (settings !== undefined && admin !== undefined) faults.push("Give --settings or --admin, not both.");
  if (host === undefined && (list ?? sitemap) !== undefined) faults.push("--list and --sitemap need --from-origin.");
  if (list !== undefined && sitemap !== undefined) faults.push("Give --list or --sitemap, not both.");
  if (list === "-" && detach === true) faults.push("--detach needs a list in a file: it has no standard input.");
  if (faults.length > 0) throw new ConfigFaults(faults);
  if (host === undefined) return undefined;
  const file = list === undefined || list === "-" ? list : resolve(list);
  return { type: "origins", host: host.toLowerCase(), list: file, sitemap };
}

export interface SourceAndTarget extends Omit<MigrationTarget, "close"> {
  readonly source: Source;
  readonly journal: Journal;
  /** Removes the progress bar, before other output. */
  readonly clear: () => void;
}

interface Bar {
  readonly terminal: Terminal;
  readonly json: boolean;
  /** Called once a second. */
  readonly done: (journal: Journal) => Done;
}

/**
 * Runs the work under the lock of the job, with its journal, the opened target and a progress bar of `done`. Prints why
 * the job refuses it. Throws as openTarget().
 */
export async function withSourceAndTarget(
  prepared: Prepared,
  { terminal, json, done }: Bar,
  work: (opened: SourceAndTarget) => Promise<ExitCode>,
): Promise<ExitCode> {
  const { folder, identity, source } = prepared;
  const unlock = folder.lock();
  if (unlock === undefined) {
    terminal.err.write(`Tool is already running on ${folder.dir}. \n`);
    return 1;
  }
  // Only a process in the background has a channel. Its other end may have gone.
  process.send?.(WORKING, undefined, undefined, () => undefined);
  const { show, clear } = createStatusLine(terminal, json);
  let journal: Journal | undefined;
  let target: MigrationTarget | undefined;
  let timer: NodeJS.Timeout | undefined;
  try {
    // First, so that a refusal leaves no journal.
    target = await openTarget({ ...prepared, spoolDir: folder.spool });
    const own = openJournal(folder.journal);
    journal = own;
    const changed = own.begin(identity);
    if (changed.length > 0) {
      const next = "Restore the options, or name another folder by --job, or run clean to begin anew.";
      terminal.err.write(`Error: The config has changed since this migration began: ${changed.join(", ")}. ${next} \n`);
      return 2;
    }
    const progress = createProgress();
    timer = setInterval(() => show(progress(done(own))), 1_000);
    return await work({ ...target, source, journal: own, clear });
  } catch (error) {
    if (journal !== undefined || !(error instanceof HuiyuanError) || error.code !== "store_corrupt") throw error;
    terminal.out.write(`${error.message}\n`);
    return 1;
  } finally {
    clearInterval(timer);
    clear();
    await target?.close();
    journal?.close();
    unlock();
  }
}

// Shared by `start`, its dry run and `verify`: the flags that name source and target, their check before anything is
// written, the journal under its lock, and both ends opened.
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import type { Command } from "commander";
import { HuiyuanError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import { ConfigFaults, loadConfig, type MigrationConfig } from "../../migrate/config/config.ts";
import type { JobFolder } from "../../migrate/journal/job-folder.ts";
import { INCONSISTENT, type Journal, openJournal } from "../../migrate/journal/journal.ts";
import type { SendToAdmin } from "../../migrate/targets/admin.ts";
import { loadSettings } from "../../settings/load.ts";
import type { Settings } from "../../settings/schema/schema.ts";
import { bucketIdOf, openTarget } from "../../wiring/migration.ts";
import { bucketOfDomain, openSource } from "../../wiring/migration-sources.ts";
import { createLogger } from "../logger.ts";
import { runningServer } from "../reach-server.ts";
import type { ExitCode, Terminal } from "../terminal.ts";
import { folderOf, type JobFlags, jobCommand, printFaults } from "./job.ts";

/** Flags that name source and target. */
export interface EndFlags extends JobFlags {
  readonly settings?: string;
  readonly fromOrigin?: string;
  readonly list?: string;
  readonly sitemap?: string;
  readonly allowPrivate: boolean;
  readonly fileUrls: boolean;
  readonly detach?: boolean;
}

/** A checked command. */
export interface Prepared {
  readonly config: MigrationConfig;
  readonly settings: Settings | undefined;
  readonly folder: JobFolder;
  /** As in TargetOptions. */
  readonly admin: SendToAdmin | undefined;
  readonly log: Log;
  readonly flags: EndFlags;
  /** Options that decide which objects are copied where, for the comparison with those of earlier runs. */
  readonly identity: Readonly<Record<string, string>>;
}

/** `verb`: what the command does with the store of the settings. */
export function endsCommand(
  terminal: Terminal,
  name: string,
  description: string,
  verb: string,
  help: string,
): Command {
  return jobCommand(terminal, name, description, help)
    .option("--settings <file>", `${verb} the store of these settings; default: the REST API of the config`)
    .option("--from-origin <host>", "the source is the origins of this domain of the settings; needs --settings")
    .option("--list <file>", "with --from-origin: a file with keys or URLs, - for standard input")
    .option("--sitemap <url>", "with --from-origin: the sitemap of the web site")
    .option("--allow-private", "the source may have a private address", false)
    .option("--no-file-urls", "refuse file: URLs in a list");
}

/** The flags again, for a command that continues with the same ends. */
export function repeated({ settings, fromOrigin, list, sitemap, allowPrivate, fileUrls }: EndFlags): readonly string[] {
  const named = Object.entries({ settings, "from-origin": fromOrigin, list, sitemap });
  const flags = named.flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`, value]));
  return [...flags, ...(allowPrivate ? ["--allow-private"] : []), ...(fileUrls ? [] : ["--no-file-urls"])];
}

/** Prints every fault of the flags, the config and the settings; then it returns an exit code. */
export async function prepare(flags: EndFlags, terminal: Terminal): Promise<Prepared | ExitCode> {
  try {
    const prepared = await checked(flags, terminal);
    for (const name of prepared.config.unknown)
      terminal.err.write(`Warning: Option ${name} is not known and has no effect. \n`);
    return prepared;
  } catch (error) {
    return printFaults(error, terminal);
  }
}

/** Throws ConfigFaults and SettingsFaults, and the errors of runningServer(). */
async function checked(flags: EndFlags, terminal: Terminal): Promise<Prepared> {
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
  await openSource(
    config.source,
    { ...config.tool, concurrency: 1, allowPrivate: false, allowsFiles: true, log },
    settings,
  ).close();
  const { host, list, sitemap } = source ?? {};
  const from = Object.entries({ "--from-origin": host, "--list": list, "--sitemap": sitemap });
  const named = Object.fromEntries(from.filter((each): each is [string, string] => each[1] !== undefined));
  const identity = { ...config.identity, ...place, ...named };
  const admin = settings && (await runningServer(settings.server));
  return { flags, config, settings, admin, folder: folderOf(flags), log, identity };
}

/** The source that flags name. Throws ConfigFaults. */
function originsOf({ fromOrigin: host, settings, list, sitemap, detach = false }: EndFlags) {
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

/** Runs the work with the journal, under the lock of the job. Prints why it cannot. */
export async function withJournal(
  { folder, identity }: Prepared,
  terminal: Terminal,
  work: (journal: Journal) => Promise<ExitCode>,
): Promise<ExitCode> {
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
    return await work(journal);
  } catch (error) {
    if (!(error instanceof HuiyuanError) || error.message !== INCONSISTENT) throw error;
    terminal.out.write(`${INCONSISTENT}\n`);
    return 1;
  } finally {
    journal?.close();
    unlock();
  }
}

/** Opens the target and then the source; close() closes both. Throws as openTarget(). */
export async function openEnds({ flags, config, settings, admin, folder, log }: Prepared) {
  const target = await openTarget({ config, settings, admin, spoolDir: folder.spool, log });
  const { concurrency } = target;
  const { allowPrivate, fileUrls: allowsFiles } = flags;
  const options = { ...config.tool, concurrency, allowPrivate, allowsFiles, log };
  const source = openSource(config.source, options, settings);
  return {
    ...target,
    source,
    async close() {
      await source.close();
      await target.close();
    },
  };
}

// The parts that all subcommands of `huiyuan migrate` share: their flags, the job folder, and the failures by cause.
import { basename, dirname, join, resolve } from "node:path";
import type { Command } from "commander";
import { ConfigFaults } from "../../migrate/config/config.ts";
import { type JobFolder, jobFolder } from "../../migrate/journal/job-folder.ts";
import type { CauseCount } from "../../migrate/journal/reading.ts";
import { SettingsFaults } from "../../settings/faults.ts";
import { type ExitCode, newCommand, shown, type Terminal } from "../terminal.ts";

export interface JobFlags {
  readonly config: string;
  readonly job?: string;
  readonly json: boolean;
}

export function jobCommand(terminal: Terminal, name: string, description: string, help: string): Command {
  return newCommand(terminal, name, description, help)
    .option("-c, --config <file>", "config of the migration: config.ini or YAML", "conf/config.ini")
    .option("--job <dir>", "folder of the journal; default: log/ beside conf/, else ./huiyuan-migrate")
    .option("--json", "print JSON, one object a line", false);
}

/** The old tool's layout has `conf/` and `log/` side by side. */
export function folderOf({ config, job }: JobFlags): JobFolder {
  const conf = dirname(resolve(config));
  return jobFolder(job ?? (basename(conf) === "conf" ? join(dirname(conf), "log") : "huiyuan-migrate"));
}

const NO_TARGET = ["appinfo.appid", "appinfo.bucket", "appinfo.secretID", "appinfo.secretKey"];

/** Prints the faults of a config or of settings, a line each. Throws any other error. */
export function printFaults(error: unknown, terminal: Terminal): ExitCode {
  if (error instanceof ConfigFaults) {
    for (const fault of error.faults) terminal.err.write(`Error: ${shown(fault)} \n`);
    if (NO_TARGET.every((name) => error.faults.some((fault) => fault.includes(`${name} is required`))))
      terminal.err.write("To copy into the store of a settings file, which needs no appinfo, add --settings FILE. \n");
  } else if (error instanceof SettingsFaults) terminal.err.write(`Error: ${error.message}\n`);
  else throw error;
  return 2;
}

const REMEDIES: Readonly<Record<string, string>> = {
  "code -1886": "the target has other bytes: compare both, then add --overwrite newer or always (needs --settings)",
  image_not_processable: "the image is damaged at the source: replace it there, or add --accept-suspect",
  origin_hash_wrong: "the image is damaged at the source: replace it there, or add --accept-suspect",
  origin_not_image: "the source sends no image: leave it out by fileid.ignore.if, or replace it",
  origin_too_large: "raise limits.objectSize of the settings, or max.object.bytes of the config",
  url_invalid: "rename it by sub.pattern and sub.replace",
  name_refused: "rename it by sub.pattern and sub.replace",
  unlisted: "rename it at the source, then scan again: start -f",
  gone: "the source does not have it any more; if it is back",
  "code -97": "check appinfo.secretID and appinfo.secretKey",
};

/** The remedy for failures of this cause, and the command that then retries them. */
export function remedyOf({ cause }: Pick<CauseCount, "cause">, retry: string): string {
  return `${REMEDIES[cause] ?? "once the cause is gone"}; retry: ${retry}`;
}

/** A command on the same job, as a shell takes it. */
export function commandLine(name: string, { config, job }: JobFlags, more: readonly string[]): string {
  const flags = ["--config", config, ...(job === undefined ? [] : ["--job", job]), ...more];
  return `huiyuan migrate ${name} ${flags.map(quoted).join(" ")}`;
}

function quoted(text: string): string {
  return /^[\w./:=@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

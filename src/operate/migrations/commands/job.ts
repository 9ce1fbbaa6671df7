// The parts that all subcommands of `huiyuan migrate` share: flags, the job folder, output.
import { existsSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import type { Command } from "commander";
import { newCommand, type Terminal } from "../../cli/terminal.ts";
import type { JobFlags } from "../jobs/run-input.ts";
import { type JobFolder, jobFolder } from "../journal/job-folder.ts";

const DEFAULT_CONFIG = "conf/config.ini";

/** False: the default, which a command with `--from-origin` does not need. */
export function hasConfig(config: string): boolean {
  return config !== DEFAULT_CONFIG || existsSync(config);
}

export function jobCommand(terminal: Terminal, name: string, description: string, help: string): Command {
  return newCommand(terminal, name, help)
    .description(description)
    .option("-c, --config <file>", "config of the migration: config.ini or YAML", DEFAULT_CONFIG)
    .option("--job <dir>", "folder of the journal; default: log/ beside conf/, else ./huiyuan-migrate")
    .option("--json", "print JSON, one object a line", false);
}

/** The old tool's layout has `conf/` and `log/` side by side. */
export function folderOf({ config, job }: JobFlags): JobFolder {
  const conf = dirname(resolve(config));
  const isOldLayout = basename(conf) === "conf" && existsSync(conf);
  return jobFolder(job ?? (isOldLayout ? join(dirname(conf), "log") : "huiyuan-migrate"));
}

/** Prints the lines, or with --json the event. */
export function print({ json }: Pick<JobFlags, "json">, { out }: Terminal, event: object, lines: readonly string[]) {
  out.write(json ? `${JSON.stringify(event)}\n` : lines.map((line) => `${line}\n`).join(""));
}

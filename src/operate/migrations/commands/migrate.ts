// `huiyuan migrate`: copies what a site already has, from a folder, a list of URLs or a cloud store. Its
// subcommands are in the files beside this one; `stop` and `clean` are here.

import { existsSync } from "node:fs";
import type { Command } from "commander";
import { newCommand, type Terminal } from "../../cli/terminal.ts";
import type { JobFlags } from "../jobs/run-input.ts";
import { folderOf, jobCommand } from "./job.ts";
import { startCommand } from "./start.ts";
import { statCommand, viewFailedCommand } from "./stat.ts";
import { verifyCommand } from "./verify.ts";

const HELP = `docs/guides/migration.md has every step.

Examples:
  huiyuan migrate start --config conf/config.ini --dry-run
  huiyuan migrate stat --config conf/config.ini`;

export function migrateCommand(terminal: Terminal): Command {
  const command = newCommand(terminal, "migrate", HELP);
  for (const create of [startCommand, statCommand, stopCommand, viewFailedCommand, cleanCommand, verifyCommand])
    command.addCommand(create(terminal));
  return command;
}

const exampleOf = (name: string) => `Example:\n  huiyuan migrate ${name} --config conf/config.ini`;

function stopCommand(terminal: Terminal): Command {
  return jobCommand(terminal, "stop", "stop a run; objects in flight are finished", exampleOf("stop"))
    .option("-f, --force", "give up objects in flight; the next run copies them", false)
    .action((flags: JobFlags & { readonly force: boolean }) => {
      const pid = folderOf(flags).runningPid();
      process.exitCode = pid === undefined ? 1 : 0;
      terminal.out.write(pid === undefined ? "Tool is not running. \n" : `kill ${flags.force ? "-15" : "-2"} ${pid}\n`);
      if (pid !== undefined) process.kill(pid, flags.force ? "SIGTERM" : "SIGINT");
    });
}

function cleanCommand(terminal: Terminal): Command {
  const description = "remove the journal, so that the next start begins anew";
  return jobCommand(terminal, "clean", description, exampleOf("clean")).action((flags: JobFlags) => {
    const folder = folderOf(flags);
    if (!existsSync(folder.dir)) return;
    const unlock = folder.lock();
    if (unlock === undefined) {
      terminal.err.write("Tool is running: stop it first. \n");
      process.exitCode = 1;
      return;
    }
    folder.clean();
    unlock();
  });
}

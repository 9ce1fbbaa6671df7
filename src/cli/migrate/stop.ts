// `huiyuan migrate stop` and `clean`.
import { existsSync } from "node:fs";
import type { Command } from "commander";
import type { Terminal } from "../terminal.ts";
import { folderOf, type JobFlags, jobCommand } from "./job.ts";

const STOP_HELP = `Example:
  huiyuan migrate stop --config conf/config.ini`;
const CLEAN_HELP = `Example:
  huiyuan migrate clean --config conf/config.ini`;

export function stopCommand(terminal: Terminal): Command {
  return jobCommand(terminal, "stop", "stop a run; objects in flight are finished", STOP_HELP)
    .option("-f, --force", "give up objects in flight; the next run copies them", false)
    .action((flags: JobFlags & { readonly force: boolean }) => {
      const pid = folderOf(flags).runningPid();
      if (pid === undefined) {
        terminal.out.write("Tool is not running. \n");
        process.exitCode = 1;
        return;
      }
      terminal.out.write(`kill ${flags.force ? "-15" : "-2"} ${pid}\n`);
      process.kill(pid, flags.force ? "SIGTERM" : "SIGINT");
    });
}

export function cleanCommand(terminal: Terminal): Command {
  return jobCommand(terminal, "clean", "remove the journal, so that the next start begins anew", CLEAN_HELP).action(
    (flags: JobFlags) => {
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
    },
  );
}

// `huiyuan migrate`: copies what a site already has, from a folder, a list of URLs or a cloud store. Its
// subcommands are in the files beside this one.
import type { Command } from "commander";
import { newCommand, type Terminal } from "../../cli/terminal.ts";
import { startCommand } from "./start.ts";
import { statCommand, viewFailedCommand } from "./stat.ts";
import { cleanCommand, stopCommand } from "./stop.ts";
import { verifyCommand } from "./verify.ts";

const HELP = `docs/guides/migration.md has every step.

Examples:
  huiyuan migrate start --config conf/config.ini --dry-run
  huiyuan migrate stat --config conf/config.ini`;

export function migrateCommand(terminal: Terminal): Command {
  const description = "copy existing images from a folder, a list of URLs or a cloud store";
  const command = newCommand(terminal, "migrate", description, HELP);
  for (const create of [startCommand, statCommand, stopCommand, viewFailedCommand, cleanCommand, verifyCommand])
    command.addCommand(create(terminal));
  return command;
}

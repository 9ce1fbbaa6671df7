#!/usr/bin/env node
// argv → one command. The only place that ends the process.
import { Command } from "commander";
import { checkCommand } from "./cli/check.ts";
import { keysCommand } from "./cli/keys.ts";
import { serveCommand } from "./cli/serve.ts";
import { signCommand } from "./cli/sign.ts";
import { processTerminal } from "./cli/terminal.ts";
import { tryCommand } from "./cli/try.ts";
import { HuiyuanError } from "./errors.ts";
import { SettingsFaults } from "./settings/faults.ts";
import { readVersion } from "./version.ts";

const USAGE = 2;
const terminal = processTerminal();
const program = new Command("huiyuan")
  .description(
    "Back-to-origin image mirror (回源): serves signed download URLs, fetches what it lacks, stores it whole or not at all",
  )
  .version(readVersion())
  .showHelpAfterError("(add --help for what is possible)");

for (const command of [tryCommand, serveCommand, checkCommand, keysCommand, signCommand])
  program.addCommand(command(terminal));
throwOnUsage(program);

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = exitCodeOf(error);
}
process.exit();

/** Usage faults are thrown, so that this file alone chooses the exit code. */
function throwOnUsage(command: Command): void {
  command.exitOverride();
  command.commands.forEach(throwOnUsage);
}

/** Says what went wrong, where commander has not said it yet. */
function exitCodeOf(error: unknown): number {
  if (isUsage(error)) return error.exitCode === 0 ? 0 : USAGE;
  const message = error instanceof Error ? error.message : String(error);
  terminal.err.write(`huiyuan: ${message}\n`);
  const isNamed = error instanceof HuiyuanError || error instanceof SettingsFaults;
  if (!isNamed && error instanceof Error) terminal.err.write(`${error.stack}\n`);
  return 1;
}

function isUsage(error: unknown): error is { readonly exitCode: number } {
  return error instanceof Error && error.constructor.name === "CommanderError";
}

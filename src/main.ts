#!/usr/bin/env node
// Entry point: runs the command of argv. The only file that ends the process.
import { setFlagsFromString } from "node:v8";
import { Command } from "commander";
import { HeldUp, processTerminal } from "./cli/terminal.ts";
import { HuiyuanError } from "./core/errors.ts";
import { readVersion } from "./core/version.ts";
import { SettingsFaults } from "./settings/faults.ts";

/** Loaded on demand, so that a server does not hold the libraries of other commands in memory. */
const COMMANDS = {
  try: async () => (await import("./cli/try.ts")).tryCommand,
  serve: async () => (await import("./cli/serve.ts")).serveCommand,
  check: async () => (await import("./cli/check.ts")).checkCommand,
  keys: async () => (await import("./cli/keys.ts")).keysCommand,
  sign: async () => (await import("./cli/sign.ts")).signCommand,
  ls: async () => (await import("./cli/ls.ts")).lsCommand,
  stat: async () => (await import("./cli/stat.ts")).statCommand,
  delete: async () => (await import("./cli/change-objects.ts")).deleteCommand,
  undelete: async () => (await import("./cli/change-objects.ts")).undeleteCommand,
  purge: async () => (await import("./cli/change-objects.ts")).purgeCommand,
  log: async () => (await import("./cli/log.ts")).logCommand,
  usage: async () => (await import("./cli/usage.ts")).usageCommand,
  callbacks: async () => (await import("./cli/callbacks.ts")).callbacksCommand,
  warm: async () => (await import("./cli/warm.ts")).warmCommand,
  backup: async () => (await import("./cli/backup.ts")).backupCommand,
  restore: async () => (await import("./cli/restore.ts")).restoreCommand,
  explain: async () => (await import("./cli/explain.ts")).explainCommand,
  doctor: async () => (await import("./cli/doctor.ts")).doctorCommand,
};

const USAGE = 2;
const terminal = processTerminal();
const program = new Command("huiyuan")
  .description(
    "Back-to-origin image mirror (回源): serves signed download URLs, fetches what it lacks, stores it whole or not at all",
  )
  .version(readVersion())
  .showHelpAfterError("(add --help for usage)");

// glibc reads it at a thread's first name lookup. Its default blocks that thread for 10 s on a silent name server,
// which is longer than any dial waits. With these options, a second name server is also tried sooner.
process.env.RES_OPTIONS ??= "timeout:1 attempts:2";
// Loading code creates much garbage at once; V8 would grow its young generation by 16 MB and never shrink it.
setFlagsFromString("--semi-space-growth-factor=1");
const named = Object.entries(COMMANDS).filter(([name]) => name === process.argv[2]);
for (const [, load] of named.length === 0 ? Object.entries(COMMANDS) : named) {
  const command = await load();
  program.addCommand(command(terminal));
}
throwOnUsage(program);
// Back to the default: under load a larger young generation pays off.
setFlagsFromString("--semi-space-growth-factor=2");
// Start full collections later: not as soon as one more young generation might not fit.
setFlagsFromString("--heap-growing-percent=100");
setFlagsFromString("--incremental-marking-soft-trigger=80");

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof HeldUp) endBy(error.signal);
  else process.exitCode = exitCodeOf(error);
}
process.exit();

/**
 * Ends the process by a signal, because process.exit() waits for threads, which may wait for a slow disk. All output is
 * written by now. Process 1 of a container cannot end itself by a signal and goes on; the container runtime kills it.
 */
function endBy(signal: NodeJS.Signals): void {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}

/** Makes commander throw usage errors, so that only this file sets the exit code. */
function throwOnUsage(command: Command): void {
  command.exitOverride();
  command.commands.forEach(throwOnUsage);
}

/** Prints the error, unless commander has printed it. */
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

#!/usr/bin/env node
// argv → one command. The only place that ends the process.
import { setFlagsFromString } from "node:v8";
import { Command } from "commander";
import { HeldUp } from "./cli/signals.ts";
import { processTerminal } from "./cli/terminal.ts";
import { HuiyuanError } from "./core/errors.ts";
import { readVersion } from "./core/version.ts";
import { SettingsFaults } from "./settings/faults.ts";

/** Loaded when named: a server at rest has no other command's libraries in memory. */
const COMMANDS = {
  try: async () => (await import("./cli/try.ts")).tryCommand,
  serve: async () => (await import("./cli/serve.ts")).serveCommand,
  check: async () => (await import("./cli/check.ts")).checkCommand,
  keys: async () => (await import("./cli/keys.ts")).keysCommand,
  sign: async () => (await import("./cli/sign.ts")).signCommand,
  ls: async () => (await import("./cli/ls.ts")).lsCommand,
  stat: async () => (await import("./cli/stat.ts")).statCommand,
  delete: async () => (await import("./cli/delete.ts")).deleteCommand,
  undelete: async () => (await import("./cli/undelete.ts")).undeleteCommand,
  purge: async () => (await import("./cli/purge.ts")).purgeCommand,
  log: async () => (await import("./cli/log.ts")).logCommand,
  usage: async () => (await import("./cli/usage.ts")).usageCommand,
  callbacks: async () => (await import("./cli/callbacks.ts")).callbacksCommand,
  warm: async () => (await import("./cli/warm.ts")).warmCommand,
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
  .showHelpAfterError("(add --help for what is possible)");

// glibc reads it when a thread looks its first name up, and would keep that thread for 10 s over a silent name server; no dial
// waits that long. Where there is a second server, it is asked the sooner.
process.env.RES_OPTIONS ??= "timeout:1 attempts:2";
// Code being read leaves much garbage at once, for which V8 would make 16 MB of room and never give it back.
setFlagsFromString("--semi-space-growth-factor=1");
const named = Object.entries(COMMANDS).filter(([name]) => name === process.argv[2]);
for (const [, load] of named.length === 0 ? Object.entries(COMMANDS) : named) {
  const command = await load();
  program.addCommand(command(terminal));
}
throwOnUsage(program);
// From here on as V8 likes it: under load the room pays.
setFlagsFromString("--semi-space-growth-factor=2");
// A full collection waits for garbage worth one, and does not begin as soon as one more young generation might not fit.
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
 * process.exit() waits for threads, and those for a slow disk; a signal waits for nobody. All that was said is out by now. Process 1 of a
 * container, which no signal of its own can end, goes on to wait: whoever stops the container has a limit for that.
 */
function endBy(signal: NodeJS.Signals): void {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}

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

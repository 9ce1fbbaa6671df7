#!/usr/bin/env node
// Entry point: runs the command of argv.
import { setFlagsFromString } from "node:v8";
import type { Command } from "commander";
import { readVersion } from "./core/version.ts";
import { runToEnd } from "./operate/cli/run-to-end.ts";
import { newCommand, processTerminal, type Terminal } from "./operate/cli/terminal.ts";

/** By group of the help. Loaded on demand, so that a server does not hold the libraries of other commands in memory. */
const COMMANDS = {
  "Try it:": {
    try: async () => (await import("./operate/trial/command.ts")).tryCommand,
    doctor: async () => (await import("./operate/doctor/command.ts")).doctorCommand,
  },
  "Set it up and run it:": {
    keys: async () => (await import("./operate/signing/command.ts")).keysCommand,
    check: async () => (await import("./operate/cli/check.ts")).checkCommand,
    serve: async () => (await import("./operate/cli/serve.ts")).serveCommand,
    sign: async () => (await import("./operate/signing/command.ts")).signCommand,
  },
  "See what it does:": {
    explain: async () => (await import("./operate/explain/command.ts")).explainCommand,
    ls: async () => (await import("./operate/images/commands/show-objects.ts")).lsCommand,
    stat: async () => (await import("./operate/images/commands/show-objects.ts")).statCommand,
    log: async () => (await import("./operate/operations/command.ts")).logCommand,
    usage: async () => (await import("./operate/usage/command.ts")).usageCommand,
  },
  "Change what it stores and sends:": {
    migrate: async () => (await import("./operate/migrations/commands/migrate.ts")).migrateCommand,
    warm: async () => (await import("./operate/images/commands/warm.ts")).warmCommand,
    purge: async () => (await import("./operate/images/commands/change-objects.ts")).purgeCommand,
    delete: async () => (await import("./operate/images/commands/change-objects.ts")).deleteCommand,
    undelete: async () => (await import("./operate/images/commands/change-objects.ts")).undeleteCommand,
    callbacks: async () => (await import("./operate/callbacks/command.ts")).callbacksCommand,
  },
  "Back it up:": {
    backup: async () => (await import("./operate/backups/command.ts")).backupCommand,
    restore: async () => (await import("./operate/backups/command.ts")).restoreCommand,
  },
};

const DESCRIPTION =
  "Back-to-origin image mirror (回源): fetches an image from your site or cloud at its first request, checks, stores, " +
  "processes and serves it.";
const EXAMPLES = `Examples:
  huiyuan serve --new                    start from nothing; set it up in the console
  huiyuan try https://your.site          run a trial mirror of your site
  huiyuan serve --config huiyuan.yaml    run the server
  huiyuan help serve                     show the options of a command`;
type Load = () => Promise<(terminal: Terminal) => Command>;
const terminal = processTerminal();
const program = newCommand(terminal, "huiyuan", DESCRIPTION, EXAMPLES)
  .version(readVersion(), "-V, --version", "print the version")
  .commandsGroup("Get help:")
  .helpCommand("help [command]", "show the help of a command")
  .showHelpAfterError("(huiyuan --help lists the commands)");

// Loading code creates much garbage at once; V8 would grow its young generation by 16 MB and never shrink it.
setFlagsFromString("--semi-space-growth-factor=1");
if (process.argv.length === 2) process.argv.push("--help");
const [, , wanted = ""] = process.argv;
const isAlone = Object.values(COMMANDS).some((commands) => Object.hasOwn(commands, wanted));
for (const [group, commands] of Object.entries(COMMANDS))
  for (const [name, load] of Object.entries<Load>(commands))
    if (!isAlone || name === wanted) program.addCommand((await load())(terminal).helpGroup(group));
// Back to the default: under load a larger young generation pays off.
setFlagsFromString("--semi-space-growth-factor=2");

await runToEnd(() => program.parseAsync(), terminal);

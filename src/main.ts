#!/usr/bin/env node
// Entry point: runs the command of argv.
import type { Command } from "commander";
import { readVersion } from "./core/version.ts";
import { keepYoungGenerationSmall, runToEnd } from "./operate/cli/run-to-end.ts";
import { newCommand, processTerminal, type Terminal } from "./operate/cli/terminal.ts";

type Named = readonly [description: string, load: () => Promise<(terminal: Terminal) => Command>];

const signing = () => import("./operate/signing/command.ts");
const showing = () => import("./operate/images/commands/show-objects.ts");
const changing = () => import("./operate/images/commands/change-objects.ts");
const backups = () => import("./operate/backups/command.ts");

/**
 * By group of the help. Loaded on demand, so that help comes at once, and a server does not hold the libraries of other
 * commands in memory.
 */
const COMMANDS: Readonly<Record<string, Readonly<Record<string, Named>>>> = {
  "Try it:": {
    try: [
      "run a trial mirror of a sample site, or of yours",
      async () => (await import("./operate/trial/command.ts")).tryCommand,
    ],
    doctor: [
      "test an origin and suggest settings",
      async () => (await import("./operate/doctor/command.ts")).doctorCommand,
    ],
  },
  "Set it up and run it:": {
    keys: ["make key pairs, which sign uploads and downloads", async () => (await signing()).keysCommand],
    check: [
      "check a settings file, and list every fault with its line",
      async () => (await import("./operate/cli/check.ts")).checkCommand,
    ],
    serve: ["run the server", async () => (await import("./operate/cli/serve.ts")).serveCommand],
    sign: ["print a signed URL, or a token for the REST API", async () => (await signing()).signCommand],
  },
  "See what it does:": {
    explain: [
      "show how a URL would be served",
      async () => (await import("./operate/explain/command.ts")).explainCommand,
    ],
    ls: ["list stored objects", async () => (await showing()).lsCommand],
    stat: ["show everything about one object", async () => (await showing()).statCommand],
    log: [
      "list uploads, copies, queries and deletes",
      async () => (await import("./operate/operations/command.ts")).logCommand,
    ],
    usage: [
      "show requests and bytes of each day",
      async () => (await import("./operate/usage/command.ts")).usageCommand,
    ],
    nodes: [
      "list the servers on the same S3 store",
      async () => (await import("./operate/nodes/command.ts")).nodesCommand,
    ],
  },
  "Change what it stores and sends:": {
    migrate: [
      "copy existing images from a folder, a list of URLs or a cloud store",
      async () => (await import("./operate/migrations/commands/migrate.ts")).migrateCommand,
    ],
    warm: ["prefetch a list of images", async () => (await import("./operate/images/commands/warm.ts")).warmCommand],
    purge: ["revalidate stored objects", async () => (await changing()).purgeCommand],
    delete: ["delete objects, and do not fetch them again", async () => (await changing()).deleteCommand],
    undelete: ["allow deleted objects to be fetched again", async () => (await changing()).undeleteCommand],
    callbacks: [
      "list, retry, drop or test callbacks",
      async () => (await import("./operate/callbacks/command.ts")).callbacksCommand,
    ],
  },
  "Back it up:": {
    backup: ["back up the data folder, while the server runs or not", async () => (await backups()).backupCommand],
    restore: ["fill an empty data folder from a backup", async () => (await backups()).restoreCommand],
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
const terminal = processTerminal();
const program = newCommand(terminal, "huiyuan", EXAMPLES)
  .description(DESCRIPTION)
  .version(readVersion(), "-V, --version", "print the version")
  .commandsGroup("Get help:")
  .helpCommand("help [command]", "show the help of a command");

keepYoungGenerationSmall(true);
if (process.argv.length === 2) process.argv.push("--help");
const wanted = process.argv.slice(2).find((word) => word !== "help" && !word.startsWith("-"));
for (const [group, commands] of Object.entries(COMMANDS))
  for (const [name, [description, load]] of Object.entries(commands)) {
    const command = name === wanted ? (await load())(terminal) : newCommand(terminal, name);
    program.addCommand(command.description(description).helpGroup(group));
  }
keepYoungGenerationSmall(false);

await runToEnd(() => program.parseAsync(), terminal);

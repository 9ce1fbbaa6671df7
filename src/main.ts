#!/usr/bin/env node
// Entry point: runs the command of argv.
import type { Command } from "commander";
import { readVersion } from "./core/version.ts";
import { keepYoungGenerationSmall, runToEnd } from "./operate/cli/run-to-end.ts";
import { newCommand, processTerminal, type Terminal } from "./operate/cli/terminal.ts";

/** The file of a command exports it as `<name>Command`. */
type Named<Name extends string> = readonly [
  description: string,
  load: () => Promise<{ readonly [Exported in `${Name}Command`]: (terminal: Terminal) => Command }>,
];

const signing = () => import("./operate/signing/command.ts");
const showing = () => import("./operate/images/commands/show-objects.ts");
const changing = () => import("./operate/images/commands/change-objects.ts");
const backups = () => import("./operate/backups/command.ts");

/** The commands of a group of the help, by their names. */
const group = <Name extends string>(commands: { readonly [Own in Name]: Named<Own> }) =>
  Object.entries<Named<string>>(commands);

/**
 * By group of the help. Loaded on demand, so that help comes at once, and a server does not hold the libraries of other
 * commands in memory.
 */
const COMMANDS = {
  "Try it:": group({
    try: ["run a trial mirror of a sample site, or of yours", () => import("./operate/trial/command.ts")],
    doctor: ["test an origin and suggest settings", () => import("./operate/doctor/command.ts")],
  }),
  "Set it up and run it:": group({
    keys: ["make key pairs, which sign uploads and downloads", signing],
    check: ["check a settings file, and list every fault with its line", () => import("./operate/cli/check.ts")],
    serve: ["run the server", () => import("./operate/cli/serve.ts")],
    sign: ["print a signed URL, or a token for the REST API", signing],
  }),
  "See what it does:": group({
    explain: ["show how a URL would be served", () => import("./operate/explain/command.ts")],
    ls: ["list stored objects", showing],
    stat: ["show everything about one object", showing],
    log: ["list uploads, copies, queries and deletes", () => import("./operate/operations/command.ts")],
    usage: ["show requests and bytes of each day", () => import("./operate/usage/command.ts")],
    nodes: ["list the servers on the same S3 store", () => import("./operate/nodes/command.ts")],
  }),
  "Change what it stores and sends:": group({
    migrate: [
      "copy existing images from a folder, a list of URLs or a cloud store",
      () => import("./operate/migrations/commands/migrate.ts"),
    ],
    warm: ["prefetch a list of images", () => import("./operate/images/commands/warm.ts")],
    purge: ["revalidate stored objects", changing],
    delete: ["delete objects, and do not fetch them again", changing],
    undelete: ["allow deleted objects to be fetched again", changing],
    callbacks: ["list, retry, drop or test callbacks", () => import("./operate/callbacks/command.ts")],
  }),
  "Back it up:": group({
    backup: ["back up the data folder, while the server runs or not", backups],
    restore: ["fill an empty data folder from a backup", backups],
  }),
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
for (const [heading, commands] of Object.entries(COMMANDS))
  for (const [name, [description, load]] of commands) {
    const command = name === wanted ? (await load())[`${name}Command`]!(terminal) : newCommand(terminal, name);
    program.addCommand(command.description(description).helpGroup(heading));
  }
keepYoungGenerationSmall(false);

await runToEnd(() => program.parseAsync(), terminal);

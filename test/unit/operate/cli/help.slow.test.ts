// The help of every command that src/main.ts names.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { expect, test } from "vitest";
import type { Terminal } from "../../../../src/operate/cli/terminal.ts";
import { run } from "../../../helpers/run-command.ts";

type Create = (terminal: Terminal) => Command;

const SOURCE = fileURLToPath(new URL("../../../../src/", import.meta.url));
const MAIN = readFileSync(`${SOURCE}main.ts`, "utf8");
const DESCRIPTION = /^(?!an? |the )[a-z].*[^.]$/;
const SHARED = ["adminCommand", "newCommand"];

/** Each command with the names that lead to each of its subcommands, itself first. */
async function allCommands(): Promise<readonly { readonly create: Create; readonly path: readonly string[] }[]> {
  const named = MAIN.matchAll(/import\("\.\/(operate\/[^"]+)"\)/g);
  const files = new Set([...named].map(([, file = ""]) => file));
  const modules = await Promise.all(
    [...files].map((file) => import(`${SOURCE}${file}`) as Promise<Record<string, Create>>),
  );
  const creators = modules.flatMap((module) =>
    Object.entries(module).flatMap(([name, value]) =>
      name.endsWith("Command") && !SHARED.includes(name) ? [value] : [],
    ),
  );
  const pathsOf = (command: Command): string[][] => [
    [],
    ...command.commands.flatMap((inner) => pathsOf(inner).map((path) => [inner.name(), ...path])),
  ];
  const silent = { out: process.stdout, err: process.stderr, isInteractive: false };
  return creators.flatMap((create) => pathsOf(create(silent)).map((path) => ({ create, path })));
}

test("every command and subcommand has an example, and fits into 100 columns", async () => {
  const commands = await allCommands();
  expect(commands.length).toBeGreaterThan(25);
  for (const { create, path } of commands) {
    const { out } = await run(create, [...path, "--help"]);
    expect(out).toMatch(/\nExamples?:\n {2}.*huiyuan /);
    expect(out.split("\n").filter((line) => line.length > 100)).toEqual([]);
    expect(out).not.toContain("(default: false)");
  }
});

test("every description begins with a small letter, a verb, and has no full stop", async () => {
  const silent = { out: process.stdout, err: process.stderr, isInteractive: false };
  const named = [...MAIN.matchAll(/^ {4}\w+: \[\s*"([^"]+)"/gm)].map(([, description]) => description);
  expect(named.length).toBeGreaterThan(15);
  for (const description of named) expect(description).toMatch(DESCRIPTION);
  for (const { create, path } of await allCommands()) {
    const root = create(silent);
    const command = path.reduce((outer, name) => outer.commands.find((inner) => inner.name() === name) ?? outer, root);
    const texts = command.options.map(({ description }) => description);
    if (path.length > 0) expect(command.description()).toMatch(DESCRIPTION);
    expect(texts.filter((text) => text === "" || text.endsWith("."))).toEqual([]);
  }
});

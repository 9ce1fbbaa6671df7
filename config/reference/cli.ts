// Writes docs/reference/cli.md from the help that the built program prints.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { page } from "./markdown.ts";

const PROGRAM = fileURLToPath(new URL("../../dist/main.js", import.meta.url));

const INTRO = `This page is the help of every command, as \`huiyuan --help\` and \`huiyuan <command> --help\` print it.
A command ends with 0 if it succeeded, 1 if it failed, and 2 if it was called in a wrong way.`;

/** Prints the help of a command, such as `["keys", "new"]`. */
type HelpOf = (path: readonly string[]) => Promise<string>;

export async function cliPage(helpOf: HelpOf = printedHelp): Promise<string> {
  const all = await helpOf([]);
  const sections: string[] = [];
  for (const name of namesIn(all)) sections.push(...(await sectionsOf([name], helpOf)));
  return page("Commands", INTRO, "## huiyuan", block(all), ...sections);
}

/** A command, then those below it, such as `keys new`. Empty if there is no such command. */
async function sectionsOf(path: readonly string[], helpOf: HelpOf): Promise<readonly string[]> {
  const help = await helpOf(path);
  const name = `huiyuan ${path.join(" ")}`;
  if (!help.startsWith(`Usage: ${name} `)) return [];
  const below: string[] = [];
  for (const each of namesIn(help)) below.push(...(await sectionsOf([...path, each], helpOf)));
  return [`${"#".repeat(path.length + 1)} ${name}`, block(help), ...below];
}

const block = (help: string) => `\`\`\`text\n${help.trimEnd()}\n\`\`\``;

async function printedHelp(path: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM, ...path, "--help"]);
  return stdout;
}

/** The first words of indented lines with a second column: the commands, and what looks like one. */
function namesIn(help: string): readonly string[] {
  const names = [...help.matchAll(/^ {2}([a-z][a-z-]*)(?: [[<].*?)? {2}/gm)].map(([, name = ""]) => name);
  return [...new Set(names)].filter((name) => name !== "help");
}

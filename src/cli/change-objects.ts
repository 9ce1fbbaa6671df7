// What `delete`, `undelete` and `purge` have in common: which objects are meant, asking before much is changed, and
// telling what was done.
import { createInterface } from "node:readline/promises";
import type { Command } from "commander";
import { isObject } from "./admin-client.ts";
import { type BucketFlags, type Session, withBucket } from "./admin-command.ts";
import { inBatches, linesOf } from "./name-list.ts";
import { shown } from "./shown.ts";
import type { ExitCode } from "./terminal.ts";

export interface SelectionFlags extends BucketFlags {
  readonly list?: string;
  readonly prefix?: string;
  readonly yes?: boolean;
}

/** What is said of each object. */
export interface ChangeWords {
  readonly changed: string;
  readonly unchanged: string;
}

/** The arguments and options that say which objects are meant. */
export function withSelection(command: Command, options: { readonly hasPrefix: boolean }): Command {
  withBucket(command)
    .argument("[name...]", "URLs under which clients ask for the objects, or keys")
    .option("--list <file>", "take the names from the lines of a file; - is standard input");
  if (options.hasPrefix) {
    command.option("--prefix <prefix>", 'all stored objects whose keys begin so; "" is the whole bucket');
    command.option("-y, --yes", "do not ask before many objects are changed", false);
  }
  return command;
}

/** Ends the command as wrong usage unless exactly one way to name objects is used. */
export function checkSelection(names: readonly string[], { list, prefix }: SelectionFlags, command: Command): void {
  const ways = [names.length > 0, list !== undefined, prefix !== undefined].filter(Boolean).length;
  if (ways !== 1) command.error("error: name the objects: as arguments, with --list, or with --prefix");
}

/** Asks on a terminal; ends the command as wrong usage where nobody can be asked. */
export async function confirm(question: string, { yes }: SelectionFlags, command: Command): Promise<boolean> {
  if (yes === true) return true;
  if (process.stdin.isTTY !== true)
    command.error(`error: nobody can be asked here, so say --yes if that is meant: ${question}`);
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await lines.question(`${question} [y/N] `)).trim());
  } finally {
    lines.close();
  }
}

interface Counts {
  changed: number;
  unchanged: number;
  failed: number;
}

/** Orders the change and prints a line for each object. 1 where one has failed. */
export async function changeObjects(
  session: Session,
  order: { readonly operation: string; readonly how: object; readonly words: ChangeWords },
  { names, ...flags }: SelectionFlags & { readonly names: readonly string[] },
): Promise<ExitCode> {
  const { operation, how, words } = order;
  const { bucket, list, prefix, json } = flags;
  const totals: Counts = { changed: 0, unchanged: 0, failed: 0 };
  const selections = prefix === undefined ? namedIn(list === undefined ? names : linesOf(list)) : [{ prefix }];
  for await (const selection of selections) {
    const body = { ...(bucket === undefined ? {} : { bucket }), ...selection, ...how };
    await changeSome(session, `/objects/${operation}`, body, { totals, words, json });
  }
  if (json) await session.printJson({ end: totals });
  else await session.print(summary(totals, words));
  return totals.failed > 0 ? 1 : 0;
}

async function* namedIn(names: Iterable<string> | AsyncIterable<string>) {
  for await (const batch of inBatches(names)) yield { names: batch };
}

async function changeSome(
  { client, signal, print, printJson }: Session,
  path: string,
  body: object,
  { totals, words, json }: { readonly totals: Counts; readonly words: ChangeWords; readonly json: boolean },
): Promise<void> {
  for await (const line of client.stream(path, body, signal)) {
    if (json) await printJson(line);
    else if (isObject(line)) await print(describe(line, words));
    if (!isObject(line)) continue;
    if ("code" in line) totals.failed += 1;
    else if (line.changed === true) totals.changed += 1;
    else totals.unchanged += 1;
  }
}

function describe(line: Readonly<Record<string, unknown>>, words: ChangeWords): string {
  if ("code" in line) return `failed     ${shown(String(line.name))}: ${shown(String(line.message))}`;
  return `${(line.changed === true ? words.changed : words.unchanged).padEnd(10)} ${shown(String(line.key))}`;
}

function summary({ changed, unchanged, failed }: Counts, words: ChangeWords): string {
  const parts = [
    `${changed} ${words.changed}`,
    ...(unchanged > 0 ? [`${unchanged} ${words.unchanged}`] : []),
    ...(failed > 0 ? [`${failed} failed`] : []),
  ];
  return parts.join(", ");
}

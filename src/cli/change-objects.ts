// Shared by `delete`, `undelete` and `purge`: the selection of objects, the confirmation, and the report of changes.
// The server changes the objects.
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

/** Words for each object in the report. */
export interface ChangeWords {
  readonly changed: string;
  readonly unchanged: string;
}

/** Adds the arguments and options that select objects. */
export function withSelection(command: Command, options: { readonly hasPrefix: boolean }): Command {
  withBucket(command)
    .argument("[name...]", "URLs of the objects, as clients request them, or keys")
    .option("--list <file>", "read the names from the lines of a file; - is standard input");
  if (options.hasPrefix) {
    command.option("--prefix <prefix>", 'all stored objects with this prefix; "" is the whole bucket');
    command.option("-y, --yes", "change many objects without a question", false);
  }
  return command;
}

/** Ends the command with a usage error unless exactly one way of selection is used. */
export function checkSelection(names: readonly string[], { list, prefix }: SelectionFlags, command: Command): void {
  const ways = [names.length > 0, list !== undefined, prefix !== undefined].filter(Boolean).length;
  if (ways !== 1) command.error("error: name the objects: as arguments, with --list, or with --prefix");
}

/** Asks for confirmation on a terminal. Ends the command with a usage error if standard input is not a terminal. */
export async function confirm(question: string, { yes }: SelectionFlags, command: Command): Promise<boolean> {
  if (yes === true) return true;
  if (process.stdin.isTTY !== true)
    command.error(`error: standard input is not a terminal, use --yes to confirm: ${question}`);
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

/** Sends the change and prints a line for each object. Returns 1 if one has failed. */
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

// Shared by all commands that use the admin API: common options, the connection to the server, Ctrl-C and output.
// Each command's own requests are in its own file.

import { once } from "node:events";
import { createInterface } from "node:readline/promises";
import { type Command, InvalidArgumentError } from "commander";
import type { AnswerOf, Contract, GivenTo, PlaceOf } from "../admin/contract/contract.ts";
import { ADMIN_TOKEN_VARIABLE, type AdminClient, type AdminFlags, reachServer } from "./reach-server.ts";
import { type ExitCode, newCommand, stopSignal, type Terminal } from "./terminal.ts";

export interface BucketFlags extends AdminFlags {
  readonly bucket?: string;
}

/** Makes a command with the common options. */
export function adminCommand(terminal: Terminal, name: string, help: string): Command {
  return newCommand(terminal, name, help)
    .option("-c, --config <file>", "settings file of the server", "huiyuan.yaml")
    .option(
      "--admin <url>",
      `use the server with this admin port, without its settings file; ${ADMIN_TOKEN_VARIABLE} holds the token`,
      parseUrl,
    )
    .option("--json", "print JSON, one object a line", false);
}

export function withBucket(command: Command): Command {
  return command.option("--bucket <appid/name>", "bucket of the keys; needed if there are several");
}

export function parseUrl(text: string): string {
  const isRight = URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
  if (!isRight) throw new InvalidArgumentError("It must be a URL such as http://127.0.0.1:8081");
  return text;
}

/** The server and the output of a running command. */
export interface Session {
  readonly client: AdminClient;
  /** Aborts on Ctrl-C, and when the reader of the output has closed it. */
  readonly signal: AbortSignal;
  /** Writes a line; resolves once the output accepts more (backpressure). */
  print(line: string): Promise<void>;
  /** Writes a value as one line of JSON with --json, else as `text`; an undefined text writes nothing. */
  show(value: unknown, text: string | undefined): Promise<void>;
}

/** Connects to the server, does the work and sets the exit code; 1 after Ctrl-C. */
export async function withServer(
  flags: AdminFlags,
  terminal: Terminal,
  work: (session: Session) => Promise<ExitCode>,
): Promise<void> {
  const signal = stopSignal(terminal);
  const reached = await reachServer(flags, terminal);
  const print = async (line: string) => {
    signal.throwIfAborted();
    if (!terminal.out.write(`${line}\n`)) await once(terminal.out, "drain", { signal });
  };
  try {
    const show: Session["show"] = async (value, text) => {
      const line = flags.json ? JSON.stringify(value) : text;
      if (line !== undefined) await print(line);
    };
    process.exitCode = await work({ client: reached.client, signal, print, show });
  } catch (error) {
    if (!signal.aborted) throw error;
    process.exitCode = 1;
  } finally {
    await reached.close();
  }
}

/** Yields each page of a list, which has a `next` unless it is the last one. Ends early on Ctrl-C. */
export async function* pagesOf<Call extends Contract>(
  { client, signal }: Session,
  at: PlaceOf<Call>,
  given: GivenTo<Call>,
): AsyncIterable<Awaited<AnswerOf<Call>>> {
  for (let from = given; !signal.aborted; ) {
    const page = await client.call<Call>(at, from);
    yield page;
    const { next } = page as { readonly next?: string | number };
    if (next === undefined) return;
    from = { ...given, after: next };
  }
}

/** Asks for confirmation on a terminal. Ends the command with a usage error if standard input is not a terminal. */
export async function confirm(
  question: string,
  { yes }: { readonly yes?: boolean },
  command: Command,
): Promise<boolean> {
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

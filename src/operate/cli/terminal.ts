// Shared by all commands: output streams, options, escapes of texts from outside, a status line, and signals. No
// command logic.
import type { Writable } from "node:stream";
import { Command, Help, InvalidArgumentError } from "commander";

/** Output of a command. Tests pass their own streams. */
export interface Terminal {
  readonly out: Writable;
  readonly err: Writable;
  /** True if `out` is a terminal and NO_COLOR is not set: the command may use colours and progress bars. */
  readonly isInteractive: boolean;
}

/** The process's own terminal. */
export function processTerminal(): Terminal {
  return {
    out: process.stdout,
    err: process.stderr,
    isInteractive: process.stdout.isTTY === true && process.env.NO_COLOR === undefined,
  };
}

/** Columns of all help texts, however wide the terminal is. */
const HELP_WIDTH = 80;

/**
 * A command that writes to the terminal, and throws CommanderError for wrong usage. `help` follows the options in
 * --help: a few lines, and examples.
 */
export function newCommand({ out, err }: Terminal, name: string, help = ""): Command {
  const command: Command = new Command(name)
    .helpOption("-h, --help", "show this help")
    .helpCommand(false)
    .configureHelp({
      helpWidth: HELP_WIDTH,
      subcommandTerm: (subcommand) => subcommand.name(),
      optionDescription: (option) => new Help().optionDescription(option).replace(NO_DEFAULT, ""),
    })
    .configureOutput({
      writeOut: (text) => out.write(text),
      writeErr: (text) => err.write(text),
      outputError: (text, write) => write(`${text.trimEnd()} (see: ${pathOf(command)} --help)\n`),
    })
    .exitOverride();
  return help === "" ? command : command.addHelpText("after", `\n${help}`);
}

/** The words that run the command: `huiyuan migrate start`. */
function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

// A default that says "not given" tells the reader nothing.
const NO_DEFAULT = / \(default: (false|\{\}|"")\)$/;

/** Parses an argument: a whole number from 1 to `most`, both inclusive. `hint` ends the message of its error. */
export function wholeNumber(text: string, most?: number, hint = "."): number {
  const value = Number(text);
  if (/^\d{1,15}$/.test(text) && value >= 1 && value <= (most ?? value)) return value;
  throw new InvalidArgumentError(`It must be a whole number from 1${most === undefined ? "" : ` to ${most}`}${hint}`);
}

/** Parses a header of an option that may be repeated, and adds it to the ones before. */
export function addHeader(text: string, headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const [, name, value = ""] = /^([^:\s]+):\s*(.*?)\s*$/.exec(text) ?? [];
  if (name === undefined) throw new InvalidArgumentError('It must be a header such as "Referer: http://a.example/".');
  return { ...headers, [name]: value };
}

/** 0: done, 1: failed, 2: wrong usage. */
export type ExitCode = 0 | 1 | 2;

// DEL and C1, and characters that change the reading direction or end a line.
const UNSAFE = "\\x7f-\\x9f\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069\\u2028\\u2029";
const IN_TEXT = new RegExp(`[\\x00-\\x1f${UNSAFE}]`, "g");
const IN_LINES = new RegExp(`[${UNSAFE}]`, "g");

/** Escapes control characters in one text, because a key may hold any and a terminal executes them. */
export function shown(text: string): string {
  return text.replace(IN_TEXT, escaped);
}

/** Escapes whole lines with our own colours. Their texts are JSON, which has escaped C0 already. */
export function shownLines(lines: string): string {
  return lines.replace(IN_LINES, escaped);
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** One line on standard error that shows what a command is doing, below its output. */
export interface StatusLine {
  /** False if it shows nothing: `isQuiet`, or not both outputs are terminals. */
  readonly isShown: boolean;
  /** Replaces the text, at most ten times a second. */
  show(text: string): void;
  /** Removes the line; to be called before other output, and at the end. */
  clear(): void;
}

const STATUS_EVERY_MS = 100;
const CLEAR = "\r\u001b[K";

export function createStatusLine({ err, isInteractive }: Terminal, isQuiet: boolean): StatusLine {
  const isShown = !isQuiet && isInteractive && process.stderr.isTTY === true;
  let isFreshUntil = 0;
  return {
    isShown,
    show(text) {
      if (!isShown || performance.now() < isFreshUntil) return;
      isFreshUntil = performance.now() + STATUS_EVERY_MS;
      err.write(`${CLEAR}${shown(text).slice(0, 78)} …`);
    },
    clear() {
      isFreshUntil = 0;
      if (isShown) err.write(CLEAR);
    },
  };
}

/** Aborts at the first of `signals`, and when the reader of the output has closed it (`| head`). */
export function stopSignal({ out, err }: Terminal, signals?: readonly NodeJS.Signals[]): AbortSignal {
  const stopping = new AbortController();
  void untilStopped(signals).then(() => stopping.abort());
  // Without a listener the error of a closed output would end the process here.
  for (const stream of [out, err]) stream.on("error", () => stopping.abort());
  return stopping.signal;
}

/**
 * SIGTERM and Ctrl-C stop the program in order. Resolves with the first of `signals`. A second signal of the same kind
 * ends the process at once, as users expect. After `over` is aborted it no longer listens, and never resolves.
 */
export function untilStopped(
  signals: readonly NodeJS.Signals[] = ["SIGTERM", "SIGINT"],
  over?: AbortSignal,
): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of signals) {
      const listener = () => resolve(signal);
      // Once: without a listener, the second signal has its default effect.
      process.once(signal, listener);
      over?.addEventListener("abort", () => process.off(signal, listener));
    }
  });
}

/** Writes a size as `640 B`, `12 KB` or `1.3 MB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1_000) return `${bytes} B`;
  return bytes < 1_000_000 ? `${Math.round(bytes / 1_000)} KB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

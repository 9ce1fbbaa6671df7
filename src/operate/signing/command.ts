// `huiyuan sign …` prints a token or a signed download URL, for a bucket of a settings file or one named by options.
// `huiyuan keys new` prints a new key pair. They write no file.

import { type Command, InvalidArgumentError, Option } from "commander";
import { HuiyuanError } from "../../core/errors.ts";
import { type Key, toKey } from "../../core/object.ts";
import { MAX_LIFE_SECONDS } from "../../serve/sign/token.ts";
import { type KeyPair, makeKeyPair } from "../../settings/key-pair.ts";
import { loadSettings } from "../../settings/load.ts";
import { parseDuration } from "../../settings/schema/quantities.ts";
import { newCommand, type Terminal } from "../cli/terminal.ts";
import { findSignPlace, readSignTarget, type SignPlace, type SignTarget, sign } from "./signing.ts";

/** Options that select the bucket and the key pair. */
interface SignOptions {
  readonly config?: string;
  readonly appid?: string;
  readonly bucket?: string;
  readonly secretId?: string;
  readonly json: boolean;
}

interface MultiUseOptions extends SignOptions {
  /** Seconds from now. */ readonly expires: number;
  readonly unbound: boolean;
}

const SIGN_HELP = `Examples:
  huiyuan sign download 2015/cat.jpg
  huiyuan sign upload 2015/cat.jpg --expires 1h`;

/** Wrong usage throws CommanderError, a faulty settings file SettingsFaults. */
export function signCommand(terminal: Terminal): Command {
  const download = multiUse(
    subcommand(terminal, "download", "print a signed download URL", [
      "huiyuan sign download 2015/cat.jpg --expires 1h",
      "huiyuan sign download 'https://img.example.com/2015/cat.jpg?imageView2/2/w/200'",
    ]),
  )
    .argument(
      "<url-or-fileid>",
      "download URL, or the fileid of an image on the bucket's public domain",
      parse(readSignTarget),
    )
    .addOption(
      new Option("--once", "make a one-time URL; oneTimeDownloads of the bucket says how it works")
        .default(false)
        .conflicts(["expires", "unbound"]),
    )
    .action(async (target: SignTarget, options: MultiUseOptions & { readonly once: boolean }, command: Command) => {
      const place = await placeOf(options, target.url?.host, command);
      if (target.url === undefined) warnOfSlash(target.fileid, terminal);
      const life = options.once ? undefined : options.expires;
      const signed = asUsage(command, () => sign(place, { target, unbound: options.unbound, life, isDownload: true }));
      terminal.out.write(`${options.json ? JSON.stringify(signed) : signed.url}\n`);
    });

  const upload = multiUse(
    subcommand(terminal, "upload", "print a token for an upload, whole or in slices", [
      "huiyuan sign upload 2015/cat.jpg --expires 1h",
      "huiyuan sign upload --bucket photos --json",
    ]),
  )
    .argument("[fileid]", "name of the upload (default: the server chooses one)", parse(toKey))
    .action(async (fileid: Key | undefined, options: MultiUseOptions, command: Command) => {
      const place = await placeOf(options, undefined, command);
      warnOfSlash(fileid ?? "", terminal);
      const { unbound, expires: life } = options;
      printToken(terminal, options, sign(place, { target: targetOf(fileid), unbound, life, isDownload: false }));
    });

  const all = newCommand(terminal, "sign", "print a signed URL, or a token for the REST API", SIGN_HELP);
  all.addCommand(download).addCommand(upload);
  for (const operation of ["copy", "delete"] as const) all.addCommand(oneTime(terminal, operation));
  return all;
}

function oneTime(terminal: Terminal, operation: "copy" | "delete"): Command {
  const description = `print a one-time token that ${operation === "copy" ? "copies" : "deletes"} one file`;
  return subcommand(terminal, operation, description, [`huiyuan sign ${operation} 2015/cat.jpg`])
    .argument("<fileid>", operation === "copy" ? "file to copy from" : "file to delete", parse(toKey))
    .action(async (fileid: Key, options: SignOptions, command: Command) => {
      const place = await placeOf(options, undefined, command);
      warnOfSlash(fileid, terminal);
      const once = { target: targetOf(fileid), unbound: false, life: undefined, isDownload: false };
      printToken(terminal, options, sign(place, once));
    });
}

/** A path of a URL is a common mistake: its first slash does not belong to the fileid. */
function warnOfSlash(fileid: string, { err }: Terminal): void {
  if (!fileid.startsWith("/")) return;
  const wanted = fileid.replace(/^\/+/, "");
  err.write(
    `warning: this signs the URL path "/${fileid}"; for "/${wanted}" write ${wanted}, without the first slash\n`,
  );
}

const NO_FILE_HELP = `Without a settings file: name --appid, --bucket and --secret-id, and put the
SecretKey into the environment variable HUIYUAN_SECRET_KEY. It is no option,
because everyone on the machine can read those in the process list.`;

function subcommand(terminal: Terminal, name: string, description: string, examples: readonly string[]): Command {
  const help = `${NO_FILE_HELP}\n\nExamples:\n${examples.map((example) => `  ${example}`).join("\n")}`;
  return newCommand(terminal, name, description, help)
    .option("-c, --config <file>", 'settings file (default: "huiyuan.yaml")')
    .option("--appid <appid>", "project; needed if the file has several")
    .option("--bucket <name>", "bucket; needed if the file has several")
    .option("--secret-id <id>", "key pair (default: the project's first enabled one)")
    .option("--json", "print one JSON object", false);
}

function multiUse(command: Command): Command {
  return command
    .addOption(
      new Option("--expires <duration>", "end the validity after 90s, 12h, 30d, …; at most 92d")
        .argParser(parseLife)
        .default(30 * 86_400, "30d"),
    )
    .option("--unbound", "sign for any file of the bucket", false);
}

function parseLife(text: string): number {
  const seconds = Math.floor((parseDuration(text) ?? 0) / 1000);
  if (seconds < 1 || seconds > MAX_LIFE_SECONDS) throw new InvalidArgumentError("Wanted 1s to 92d.");
  return seconds;
}

/** A parser of an argument, whose errors are wrong usage. */
function parse<Value>(read: (text: string) => Value): (text: string) => Value {
  return (text) => {
    try {
      return read(text);
    } catch (error) {
      if (error instanceof HuiyuanError) throw new InvalidArgumentError(`${error.message}.`);
      throw error;
    }
  };
}

/** Ends the command with a usage error if `run` throws a HuiyuanError. */
function asUsage<Value>(command: Command, run: () => Value): Value {
  try {
    return run();
  } catch (error) {
    if (error instanceof HuiyuanError) command.error(`error: ${error.message}`);
    throw error;
  }
}

function targetOf(fileid: Key | undefined): SignTarget | undefined {
  return fileid && { fileid, url: undefined };
}

function printToken(terminal: Terminal, { json }: SignOptions, issued: { readonly token: string }): void {
  terminal.out.write(`${json ? JSON.stringify(issued) : issued.token}\n`);
}

/** Environment variable of the SecretKey if no settings file is read. */
const SECRET_KEY_VARIABLE = "HUIYUAN_SECRET_KEY";

/**
 * Finds the bucket by the options and the host of the URL to sign. With appid, bucket and SecretID, and without
 * --config, it reads no settings file. Ends the command with a usage error unless exactly one bucket matches.
 */
async function placeOf(options: SignOptions, host: string | undefined, command: Command): Promise<SignPlace> {
  const { appid, bucket: name, secretId } = options;
  if (options.config === undefined && appid !== undefined && name !== undefined && secretId !== undefined) {
    const secretKey = process.env[SECRET_KEY_VARIABLE] ?? "";
    if (secretKey === "") command.error(`error: the environment variable ${SECRET_KEY_VARIABLE} has no SecretKey`);
    return { appid, bucket: name, secretId, secretKey, downloads: undefined };
  }
  const file = options.config ?? "huiyuan.yaml";
  const settings = await loadSettings(file, { env: process.env, needs: "keys" });
  return asUsage(command, () => findSignPlace(settings, { appid, bucket: name, secretId, host, file }));
}

const HELP = `Example:
  huiyuan keys new`;
const NEW_HELP = `The pair is stored nowhere. Put it into the settings file.

Examples:
  huiyuan keys new
  huiyuan keys new --json > pair.json`;

/** Throws CommanderError for wrong usage. */
export function keysCommand(terminal: Terminal): Command {
  const create = newCommand(terminal, "new", "print a new key pair and its settings", NEW_HELP)
    .option("--json", "print one JSON object", false)
    .action(({ json }: { readonly json: boolean }) => {
      const pair = makeKeyPair();
      terminal.out.write(json ? `${JSON.stringify(pair)}\n` : describe(pair));
    });
  return newCommand(terminal, "keys", "make key pairs, which sign uploads and downloads", HELP).addCommand(create);
}

function describe({ secretId, secretKey }: KeyPair): string {
  return `SecretID   ${secretId}
SecretKey  ${secretKey}

Shown once and stored nowhere. Add it to the project in huiyuan.yaml (at most two pairs; a running server applies them):

    keys:
      - secretId: "${secretId}"
        secretKey: "${secretKey}"   # or env:NAME or file:PATH, to keep it out of this file
`;
}

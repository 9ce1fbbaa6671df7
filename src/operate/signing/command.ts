// `huiyuan sign …` prints a token or a signed download URL, for a bucket of a settings file or one named by options.
// `huiyuan keys new` prints a new key pair. They write no file.

import { type Command, InvalidArgumentError, Option } from "commander";
import { HuiyuanError } from "../../core/errors.ts";
import { toKey } from "../../core/object.ts";
import { MAX_LIFE_SECONDS } from "../../serve/sign/token.ts";
import { type KeyPair, makeKeyPair } from "../../settings/key-pair.ts";
import { loadSettings } from "../../settings/load.ts";
import { parseDuration } from "../../settings/schema/quantities.ts";
import { newCommand, type Terminal } from "../cli/terminal.ts";
import { findSignPlace, readSignTarget, type SignPlace, sign } from "./signing.ts";

interface SignFlags {
  readonly config?: string;
  readonly appid?: string;
  readonly bucket?: string;
  readonly secretId?: string;
  readonly json: boolean;
  /** Seconds from now; copies and deletes have none of the next three. */
  readonly expires?: number;
  readonly unbound?: boolean;
  readonly once?: boolean;
}

const SIGN_HELP = `Examples:
  huiyuan sign download 2015/cat.jpg
  huiyuan sign upload 2015/cat.jpg --expires 1h`;

/** `argument`: as commander writes it, and what it names. */
const OPERATIONS = {
  download: {
    about: "print a signed download URL",
    argument: ["<url-or-fileid>", "download URL, or the fileid of an image on the bucket's public domain"],
    examples: ["2015/cat.jpg --expires 1h", "'https://img.example.com/2015/cat.jpg?imageView2/2/w/200'"],
  },
  upload: {
    about: "print a token for an upload, whole or in slices",
    argument: ["[fileid]", "name of the upload (default: the server chooses one)"],
    examples: ["2015/cat.jpg --expires 1h", "--bucket photos --json"],
  },
  copy: {
    about: "print a one-time token that copies one file",
    argument: ["<fileid>", "file to copy from"],
    examples: ["2015/cat.jpg"],
  },
  delete: {
    about: "print a one-time token that deletes one file",
    argument: ["<fileid>", "file to delete"],
    examples: ["2015/cat.jpg"],
  },
} as const;

/** Wrong usage throws CommanderError, a faulty settings file SettingsFaults. */
export function signCommand(terminal: Terminal): Command {
  const all = newCommand(terminal, "sign", SIGN_HELP);
  const names = Object.keys(OPERATIONS) as (keyof typeof OPERATIONS)[];
  for (const name of names) all.addCommand(subcommand(terminal, name));
  return all;
}

const NO_FILE_HELP = `Without a settings file: name --appid, --bucket and --secret-id, and put the
SecretKey into the environment variable HUIYUAN_SECRET_KEY. It is no option,
because everyone on the machine can read those in the process list.`;

function subcommand(terminal: Terminal, name: keyof typeof OPERATIONS): Command {
  const { about, argument, examples } = OPERATIONS[name];
  const isDownload = name === "download";
  const lines = examples.map((example) => `\n  huiyuan sign ${name} ${example}`);
  const command = newCommand(terminal, name, `${NO_FILE_HELP}\n\nExamples:${lines.join("")}`)
    .description(about)
    .argument(argument[0], argument[1])
    .option("-c, --config <file>", 'settings file (default: "huiyuan.yaml")')
    .option("--appid <appid>", "project; needed if the file has several")
    .option("--bucket <name>", "bucket; needed if the file has several")
    .option("--secret-id <id>", "key pair (default: the project's first enabled one)")
    .option("--json", "print one JSON object", false);
  if (isDownload || name === "upload")
    command
      .addOption(
        new Option("--expires <duration>", "end the validity after 90s, 12h, 30d, …; at most 92d")
          .argParser(parseLife)
          .default(30 * 86_400, "30d"),
      )
      .option("--unbound", "sign for any file of the bucket", false);
  if (isDownload)
    command.addOption(
      new Option("--once", "make a one-time URL; oneTimeDownloads of the bucket says how it works")
        .default(false)
        .conflicts(["expires", "unbound"]),
    );
  return command.action(async (given: string | undefined, flags: SignFlags, self: Command) => {
    const read = (text: string) => (isDownload ? readSignTarget(text) : { fileid: toKey(text), url: undefined });
    const target = given === undefined ? undefined : asUsage(self, () => read(given));
    const place = await placeOf(flags, target?.url?.host, self);
    if (target?.url === undefined) warnOfSlash(target?.fileid ?? "", terminal);
    const { unbound = false, once, expires, json } = flags;
    const life = once ? undefined : expires;
    const signed = asUsage(self, () => sign(place, { target, unbound, life, isDownload }));
    terminal.out.write(`${json ? JSON.stringify(signed) : (signed.url ?? signed.token)}\n`);
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

function parseLife(text: string): number {
  const seconds = Math.floor((parseDuration(text) ?? 0) / 1000);
  if (seconds < 1 || seconds > MAX_LIFE_SECONDS) throw new InvalidArgumentError("Wanted 1s to 92d.");
  return seconds;
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

/** Environment variable of the SecretKey if no settings file is read. */
const SECRET_KEY_VARIABLE = "HUIYUAN_SECRET_KEY";

/**
 * Finds the bucket by the options and the host of the URL to sign. With appid, bucket and SecretID, and without
 * --config, it reads no settings file. Ends the command with a usage error unless exactly one bucket matches.
 */
async function placeOf(options: SignFlags, host: string | undefined, command: Command): Promise<SignPlace> {
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
  const create = newCommand(terminal, "new", NEW_HELP)
    .description("print a new key pair and its settings")
    .option("--json", "print one JSON object", false)
    .action(({ json }: { readonly json: boolean }) => {
      const pair = makeKeyPair();
      terminal.out.write(json ? `${JSON.stringify(pair)}\n` : describe(pair));
    });
  return newCommand(terminal, "keys", HELP).addCommand(create);
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

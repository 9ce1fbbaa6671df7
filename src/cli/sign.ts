// `huiyuan sign …`: prints a token or a signed download URL, for a bucket of a settings file or one named by options.
import { randomInt } from "node:crypto";
import { type Command, InvalidArgumentError, Option } from "commander";
import { HuiyuanError } from "../core/errors.ts";
import { type Key, toKey } from "../core/object.ts";
import { type PublicPlace, publicUrl } from "../http/response/public-url.ts";
import { type Binding, bindDomains, publicDomain } from "../settings/domains.ts";
import { normalizeHost } from "../settings/hosts.ts";
import { loadSettings } from "../settings/load.ts";
import { parseDuration } from "../settings/schema/quantities.ts";
import { MAX_LIFE_SECONDS, makeToken, tokenFromQuery } from "../sign/token.ts";
import { newCommand, type Terminal } from "./terminal.ts";

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

/** The argument of `sign download`: a fileid, or a whole URL whose `base` ends before the slash. */
interface DownloadTarget {
  readonly fileid: Key;
  readonly url: { readonly base: string; readonly host: string; readonly query: string } | undefined;
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
    .argument("<url-or-fileid>", "download URL, or the fileid of an image on the bucket's public domain", parseTarget)
    .addOption(
      new Option("--once", "make a one-time URL; oneTimeDownloads of the bucket says how it works")
        .default(false)
        .conflicts(["expires", "unbound"]),
    )
    .action(async (target: DownloadTarget, options: MultiUseOptions & { readonly once: boolean }, command: Command) => {
      const place = await findSignPlace(options, target.url?.host, command);
      const unsigned = unsignedUrl(target, place);
      if (unsigned === undefined)
        command.error("error: give the whole URL to sign, because no settings file is read or its server.port is 0");
      if (target.url === undefined) warnOfSlash(target.fileid, terminal);
      const issued = issue(place, target.fileid, options.once ? undefined : options);
      const url = `${unsigned}sign=${encodeURIComponent(issued.token)}`;
      terminal.out.write(`${options.json ? JSON.stringify({ url, ...issued }) : url}\n`);
    });

  const upload = multiUse(
    subcommand(terminal, "upload", "print a token for an upload, whole or in slices", [
      "huiyuan sign upload 2015/cat.jpg --expires 1h",
      "huiyuan sign upload --bucket photos --json",
    ]),
  )
    .argument("[fileid]", "name of the upload (default: the server chooses one)", parseFileid)
    .action(async (fileid: Key | undefined, options: MultiUseOptions, command: Command) => {
      const place = await findSignPlace(options, undefined, command);
      warnOfSlash(fileid ?? "", terminal);
      printToken(terminal, options, issue(place, fileid ?? "", options));
    });

  const sign = newCommand(terminal, "sign", "print a signed URL, or a token for the REST API", SIGN_HELP);
  sign.addCommand(download).addCommand(upload);
  for (const operation of ["copy", "delete"] as const) sign.addCommand(oneTime(terminal, operation));
  return sign;
}

function oneTime(terminal: Terminal, operation: "copy" | "delete"): Command {
  const description = `print a one-time token that ${operation === "copy" ? "copies" : "deletes"} one file`;
  return subcommand(terminal, operation, description, [`huiyuan sign ${operation} 2015/cat.jpg`])
    .argument("<fileid>", operation === "copy" ? "file to copy from" : "file to delete", parseFileid)
    .action(async (fileid: Key, options: SignOptions, command: Command) => {
      const place = await findSignPlace(options, undefined, command);
      warnOfSlash(fileid, terminal);
      printToken(terminal, options, issue(place, fileid));
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

function parseFileid(text: string): Key {
  try {
    return toKey(text);
  } catch (error) {
    if (error instanceof HuiyuanError) throw new InvalidArgumentError(`${error.message}.`);
    throw error;
  }
}

function parseTarget(text: string): DownloadTarget {
  // Not `new URL`: it would turn `//` and dot segments into other names.
  const match = /^(https?:\/\/([^/?#]+))(?:\/([^?#]*))?(?:\?([^#]*))?/i.exec(text);
  if (match === null) return { fileid: parseFileid(text), url: undefined };
  const [, base = "", host = "", path = "", query = ""] = match;
  return { fileid: parseFileid(decodePath(path)), url: { base, host, query } };
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw new InvalidArgumentError("Its path has an invalid % escape.");
  }
}

/** The URL up to the signature. Undefined if only a fileid is given and no settings say where it is served. */
function unsignedUrl({ fileid, url }: DownloadTarget, { downloads }: SignPlace): string | undefined {
  if (url === undefined) {
    const download = downloads && publicUrl(downloads.place, downloads.host, fileid);
    return download && `${download}?`;
  }
  const path = fileid.split("/").map(encodeURIComponent).join("/");
  // The new signature replaces an older one.
  const instruction = tokenFromQuery(url.query).rest;
  return `${url.base}/${path}?${instruction === "" ? "" : `${instruction}&`}`;
}

/** Without `life`, the token is for one use. An empty fileid stands for any file. */
function issue(place: SignPlace, name: string, life?: MultiUseOptions) {
  const { appid, bucket, secretId, secretKey } = place;
  const fileid = life?.unbound ? "" : name;
  const issuedAt = Math.floor(Date.now() / 1000);
  const expires = life === undefined ? 0 : issuedAt + life.expires;
  const fields = { appid, bucket, secretId, expires, issuedAt, random: randomInt(2 ** 32), userid: "0", fileid };
  const token = makeToken(fields, secretKey);
  return { token, kind: expires === 0 ? "one-time" : "multi-use", appid, bucket, secretId, fileid, issuedAt, expires };
}

function printToken(terminal: Terminal, { json }: SignOptions, issued: { readonly token: string }): void {
  terminal.out.write(`${json ? JSON.stringify(issued) : issued.token}\n`);
}

/** Environment variable of the SecretKey if no settings file is read. */
const SECRET_KEY_VARIABLE = "HUIYUAN_SECRET_KEY";

/** A bucket, and the key pair that signs for it. */
interface SignPlace {
  readonly appid: string;
  readonly bucket: string;
  readonly secretId: string;
  readonly secretKey: string;
  /** Undefined without settings. */
  readonly downloads: { readonly place: PublicPlace; readonly host: string } | undefined;
}

type Candidate = Pick<Binding, "project" | "bucket">;

/**
 * Finds the bucket by the options and the host of the URL to sign. With appid, bucket and SecretID, and without
 * --config, it reads no settings file. Ends the command with a usage error unless exactly one bucket matches.
 */
async function findSignPlace(options: SignOptions, host: string | undefined, command: Command): Promise<SignPlace> {
  const { appid, bucket: name, secretId } = options;
  if (options.config === undefined && appid !== undefined && name !== undefined && secretId !== undefined) {
    const secretKey = process.env[SECRET_KEY_VARIABLE] ?? "";
    if (secretKey === "") command.error(`error: the environment variable ${SECRET_KEY_VARIABLE} has no SecretKey`);
    return { appid, bucket: name, secretId, secretKey, downloads: undefined };
  }
  const file = options.config ?? "huiyuan.yaml";
  const settings = await loadSettings(file, { env: process.env, needs: "keys" });
  const all = settings.projects.flatMap((project) => project.buckets.map((bucket): Candidate => ({ project, bucket })));
  // A named bucket is not checked against the URL, which may be that of a CDN that the settings do not know.
  const { hosts, star } = bindDomains(settings);
  const bound = host === undefined || name !== undefined ? undefined : (hosts.get(normalizeHost(host) ?? "") ?? star);
  const fitting = all.filter(
    ({ project, bucket }) =>
      (appid === undefined || project.appid === appid) &&
      (name === undefined ? host === undefined || bucket === bound?.bucket : bucket.name === name),
  );
  const [only] = fitting;
  if (only === undefined && host !== undefined && name === undefined)
    command.error(`error: ${host} is no domain in ${file}, which has ${few([...hosts.keys()])}; ${OTHER_HOST}`);
  if (only === undefined) command.error(`error: no bucket in ${file} fits; there are ${list(all)}`);
  if (fitting.length > 1) command.error(`error: choose with --appid and --bucket: ${list(fitting)}`);
  const { project, bucket } = only;
  const key = project.keys.find((pair) => pair.enabled && pair.secretId === (secretId ?? pair.secretId));
  if (key === undefined) command.error(`error: project ${project.appid} in ${file} has no such enabled key pair`);
  return {
    appid: project.appid,
    bucket: bucket.name,
    secretId: key.secretId,
    secretKey: key.secretKey,
    downloads: { place: settings.server, host: publicDomain(settings.server, project, bucket) },
  };
}

const OTHER_HOST = "for the host of a CDN, name the bucket with --bucket";

function list(places: readonly Candidate[]): string {
  return few(places.map(({ project, bucket }) => `${project.appid}/${bucket.name}`));
}

const FEW = 5;

function few(names: readonly string[]): string {
  const more = names.length > FEW ? [`${names.length - FEW} more`] : [];
  return [...names.slice(0, FEW), ...more].join(", ") || "none";
}

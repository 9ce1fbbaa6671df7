// `huiyuan try`: a mirror that runs a minute after the clone: temporary settings, an embedded bucket, and a sample
// site as its origin unless one is named. It makes the first two requests itself and says what they did.
import { randomBytes, randomInt } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { type App, startApp } from "../app.ts";
import { encodeKeyForPath } from "../http/target.ts";
import { makeSamplePictures } from "../image/sample-pictures.ts";
import { type Key, toKey } from "../object.ts";
import { parseSettings } from "../settings/load.ts";
import { makeToken } from "../sign/token.ts";
import { findPicture } from "./find-picture.ts";
import { createLogger } from "./logger.ts";
import { type SampleSite, startSampleSite } from "./sample-site.ts";
import { untilStopped } from "./signals.ts";
import type { Terminal } from "./terminal.ts";
import { timedGet } from "./timed-get.ts";
import { describeTrial, type FirstRequests } from "./try-report.ts";

interface TryFlags {
  readonly port: number;
  readonly adminPort: number;
  readonly json: boolean;
}

/** What the trial mirrors: the base URL, one image of it, and the sample site when there is no other. */
interface TrialOrigin {
  readonly url: string;
  readonly picture: Key | undefined;
  readonly sample: SampleSite | undefined;
}

const APPID = "10001234";
const SAMPLE_DELAY_MS = 60;
const TOKEN_LIFE_SECONDS = 7 * 86_400;

export function tryCommand(terminal: Terminal): Command {
  return new Command("try")
    .description("a trial with one command: a mirror in front of a sample site, or of yours")
    .argument(
      "[origin-url]",
      "the site to mirror, such as https://your.site; without it a sample site is started",
      parseOrigin,
    )
    .option("-p, --port <port>", "port of the mirror; 0 takes any free one", parsePort, 8080)
    .option("--admin-port <port>", "port of health and metrics; 0 takes any free one", parsePort, 8081)
    .option("--json", "say it for machines", false)
    .addHelpText(
      "after",
      "\nNothing is kept: the bucket lies in a temporary folder that is removed at the end (Ctrl-C).",
    )
    .action(async (originUrl: string | undefined, flags: TryFlags) => runTrial(originUrl, flags, terminal));
}

async function runTrial(originUrl: string | undefined, flags: TryFlags, terminal: Terminal): Promise<void> {
  const stopped = untilStopped();
  const folder = await mkdtemp(join(tmpdir(), "huiyuan-try-"));
  const undo: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true })];
  try {
    let mirrorBase = "";
    const origin = await openOrigin(originUrl, (name) => `${mirrorBase}/images/${encodeKeyForPath(toKey(name))}`);
    undo.push(async () => origin.sample?.close());
    const keys = {
      secretId: `AKID${randomBytes(16).toString("hex")}`,
      secretKey: randomBytes(24).toString("base64url"),
    };
    const app = await startOnFreePorts({ flags, folder, origin, keys, terminal });
    undo.push(() => app.stop());
    mirrorBase = `http://localhost:${app.downloadPort}`;
    const signedBase = `http://members-${APPID}.localhost:${app.downloadPort}`;
    const sign = (key: Key) => `${signedBase}/${encodeKeyForPath(key)}?sign=${encodeURIComponent(tokenFor(key, keys))}`;
    const report = {
      originUrl: origin.url,
      galleryUrl: origin.sample === undefined ? undefined : `${origin.sample.url}/`,
      mirrorUrl: origin.picture === undefined ? `${mirrorBase}/` : `${mirrorBase}/${encodeKeyForPath(origin.picture)}`,
      signedUrl: origin.picture === undefined ? undefined : sign(origin.picture),
      adminUrl: `http://127.0.0.1:${app.adminPort}/`,
      requests: origin.picture === undefined ? undefined : await firstRequests(app, origin.picture),
    };
    terminal.out.write(flags.json ? `${JSON.stringify(report)}\n` : describeTrial(report, terminal.isInteractive));
    await stopped;
    if (!flags.json) terminal.out.write("\nStopping; the trial's images are removed.\n");
  } finally {
    for (const step of undo.reverse()) await step();
  }
}

async function openOrigin(originUrl: string | undefined, mirrorUrl: (name: string) => string): Promise<TrialOrigin> {
  if (originUrl !== undefined) return { url: originUrl, picture: await findPicture(originUrl), sample: undefined };
  const pictures = await makeSamplePictures();
  const sample = await startSampleSite({ pictures, host: "127.0.0.1", port: 0, mirrorUrl, delayMs: SAMPLE_DELAY_MS });
  const [first] = pictures;
  return { url: sample.url, picture: first === undefined ? undefined : toKey(`images/${first.name}`), sample };
}

interface TrialParts {
  readonly flags: TryFlags;
  readonly folder: string;
  readonly origin: TrialOrigin;
  readonly keys: { readonly secretId: string; readonly secretKey: string };
  readonly terminal: Terminal;
}

/** Where the wanted ports are taken any free ones will do: a trial must start. */
async function startOnFreePorts(parts: TrialParts): Promise<App> {
  const { flags, terminal } = parts;
  const log = createLogger({ isInteractive: terminal.isInteractive, level: "warn", destination: terminal.err });
  const start = (port: number, adminPort: number) =>
    startApp({ settings: trialSettings(parts, { port, adminPort }), log });
  try {
    return await start(flags.port, flags.adminPort);
  } catch (error) {
    const isPortTaken =
      error instanceof Error && (error.cause as NodeJS.ErrnoException | undefined)?.code === "EADDRINUSE";
    if (!isPortTaken) throw error;
    return start(0, 0);
  }
}

/** The settings of a trial, as a person would write them. */
function trialSettings(
  { folder, origin, keys }: TrialParts,
  ports: { readonly port: number; readonly adminPort: number },
) {
  const mirror = { origins: [{ type: "site", url: origin.url, allowPrivate: isLocal(origin.url) }] };
  const file = {
    server: { host: "127.0.0.1", ...ports, accessLog: "off" },
    data: folder,
    limits: { freeDisk: "100MB" },
    projects: [
      {
        appid: APPID,
        keys: [{ secretId: keys.secretId, secretKey: keys.secretKey }],
        buckets: [
          { name: "open", domains: [{ host: "*", mirror }] },
          { name: "members", token: "required", domains: [{ host: `members-${APPID}.localhost`, mirror }] },
        ],
      },
    ],
  };
  // JSON is YAML, and this way the trial passes the same checks as every settings file.
  const readFile = (path: string): never => {
    throw new Error(`a trial reads no file such as ${path}`);
  };
  return parseSettings(JSON.stringify(file), { env: {}, readFile, file: join(folder, "huiyuan.yaml") });
}

/** A person who names a local site means it; every other address stays guarded. */
function isLocal(url: string): boolean {
  const { hostname } = new URL(url);
  return (
    hostname === "localhost" || hostname === "[::1]" || /^(127|10|192\.168|172\.(1[6-9]|2\d|3[01]))\./.test(hostname)
  );
}

/** One miss and one hit, through the socket like everyone's. */
async function firstRequests(app: App, picture: Key): Promise<FirstRequests> {
  const target = { port: app.downloadPort, path: `/${encodeKeyForPath(picture)}`, host: "localhost" };
  return { first: await timedGet(target), second: await timedGet(target) };
}

function tokenFor(key: Key, { secretId, secretKey }: TrialParts["keys"]): string {
  const issuedAt = Math.floor(Date.now() / 1_000);
  const random = randomInt(2 ** 31);
  const expires = issuedAt + TOKEN_LIFE_SECONDS;
  return makeToken(
    { appid: APPID, bucket: "members", secretId, expires, issuedAt, random, userid: "0", fileid: key },
    secretKey,
  );
}

function parseOrigin(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !["http:", "https:"].includes(url.protocol)) {
    throw new InvalidArgumentError("It must be an http or https URL, such as https://your.site");
  }
  if (url.username !== "" || url.search !== "" || url.hash !== "") {
    throw new InvalidArgumentError("It may have no user name, query or fragment.");
  }
  return url.href.replace(/\/+$/, "");
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port > 65_535) throw new InvalidArgumentError("It must be a port from 0 to 65535.");
  return port;
}

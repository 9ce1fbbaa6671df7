// `huiyuan try`: starts a mirror with temporary settings and an embedded bucket. Its origin is a sample site, unless a
// URL is given. It shows the pictures on a page of the admin port, sends the first two requests and reports them.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { startApp } from "../../app.ts";
import { abortable } from "../../async/cancellation.ts";
import { toKey } from "../../core/object.ts";
import { encodeKeyForPath } from "../../serve/http/request/target.ts";
import { type PublicPlace, publicBase, publicUrl } from "../../serve/http/response/public-url.ts";
import { type KeyPair, makeKeyPair } from "../../settings/key-pair.ts";
import { isPortFree } from "../cli/first-settings.ts";
import { createLogger } from "../cli/logger.ts";
import { newCommand, stopSignal, type Terminal } from "../cli/terminal.ts";
import { findPictures, isPrivateOrigin } from "../doctor/find-pictures.ts";
import { readSamplePictures, SAMPLE_DELAY_MS, startSampleSite } from "./run/sample-site.ts";
import { createTrial, isOnThisMachine, type Trial, type TrialOptions, type TrialSite } from "./run/trial.ts";
import {
  MEMBERS_HOST,
  MIRROR_HOST,
  type TrialParts,
  type TrialPorts,
  trialSettings,
  trialToken,
} from "./run/trial-settings.ts";
import { describeTrial, PATH_OF_AN_IMAGE } from "./run/try-report.ts";

interface TryFlags extends TrialPorts {
  readonly json: boolean;
}

const HELP = `Needs no settings file, and keeps nothing: all images are in a temporary folder,
which is removed at the end (Ctrl-C).

Examples:
  huiyuan try
  huiyuan try https://your.site --port 0`;

export function tryCommand(terminal: Terminal): Command {
  return newCommand(terminal, "try", HELP)
    .argument("[origin-url]", "site to mirror, such as https://your.site (default: a sample site)", parseOrigin)
    .option("-p, --port <port>", "port of the mirror; 0 takes any free one", parsePort, 8080)
    .option("--admin-port <port>", "port of the page and the console; 0 takes any free one", parsePort, 8081)
    .option("--json", "print one JSON object", false)
    .action(async (originUrl: string | undefined, flags: TryFlags) => runTrial(originUrl, flags, terminal));
}

async function runTrial(originUrl: string | undefined, flags: TryFlags, terminal: Terminal): Promise<void> {
  // SIGHUP comes when the terminal is closed.
  const signal = stopSignal(terminal, ["SIGTERM", "SIGINT", "SIGHUP"]);
  const folder = await mkdtemp(join(tmpdir(), "huiyuan-try-"));
  const undo: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true })];
  try {
    // The screen must not be empty while a distant site is examined.
    if (!flags.json)
      terminal.out.write(originUrl === undefined ? "Starting the trial …\n" : `Looking at ${originUrl} …\n`);
    const { site, sample } = await abortable(openOrigin(originUrl), signal);
    undo.push(async () => sample?.server.close());
    const keys = makeKeyPair();
    const parts = { folder, originUrl: site.url, isPrivate: site.isPrivate, keys };
    let running: Awaited<ReturnType<typeof startOnFreePorts>> | undefined;
    const trial = createTrial({
      ...{ site, sample },
      mirrorUrl: (key) => (running && publicUrl(running.place, MIRROR_HOST, key)) ?? "",
      mirror: (chosen) => running?.app.reload(trialSettings({ ...parts, chosen }, running.ports), ""),
      ownPorts: () => (running ? [running.app.downloadPort, running.app.adminPort] : []),
    });
    running = await startOnFreePorts(parts, flags, terminal, trial);
    const { app, place, replacedPorts } = running;
    undo.push(() => app.stop());
    const requests = await abortable(trial.firstRequests(), signal);
    const adminUrl = `http://127.0.0.1:${app.adminPort}/`;
    const report = {
      originUrl: site.url,
      trouble: site.trouble,
      isSample: sample !== undefined,
      galleryUrl: `${adminUrl}trial`,
      ...urlsOf(site, place, keys),
      ...{ adminUrl, replacedPorts, requests },
    };
    terminal.out.write(flags.json ? `${JSON.stringify(report)}\n` : describeTrial(report, terminal.isInteractive));
    await abortable(new Promise(() => {}), signal);
  } catch (error) {
    if (!signal.aborted) throw error;
    if (!flags.json) terminal.out.write("\nStopping; the trial's images are removed.\n");
  } finally {
    for (const step of undo.reverse()) await step();
  }
}

/** Without `originUrl`, the sample site. */
async function openOrigin(originUrl: string | undefined): Promise<Pick<TrialOptions, "site" | "sample">> {
  if (originUrl !== undefined) {
    const isPrivate = await isPrivateOrigin(originUrl);
    return { site: { url: originUrl, isPrivate, ...(await findPictures(originUrl, isPrivate)) }, sample: undefined };
  }
  const pictures = await readSamplePictures();
  const server = await startSampleSite({ pictures, delayMs: SAMPLE_DELAY_MS });
  const keys = pictures.map(({ name }) => toKey(`images/${name}`));
  const site = { url: server.url, isPrivate: true, pictures: keys, trouble: undefined };
  return { site, sample: { server, pictures } };
}

function urlsOf({ pictures: [picture] }: TrialSite, place: PublicPlace, keys: KeyPair) {
  const path = picture === undefined ? PATH_OF_AN_IMAGE : encodeKeyForPath(picture);
  const token = encodeURIComponent(trialToken(picture ?? "", keys));
  return {
    mirrorUrl: `${publicBase(place, MIRROR_HOST)}/${path}`,
    signedUrl: `${publicBase(place, MEMBERS_HOST)}/${path}?sign=${token}`,
  };
}

/** Takes any free port if a wanted one is taken, because a trial must start. `ports`: as in the settings. */
async function startOnFreePorts(parts: TrialParts, wanted: TryFlags, terminal: Terminal, trial: Trial) {
  const log = createLogger({ isInteractive: terminal.isInteractive, level: "warn", destination: terminal.err });
  // Settings that name the port of a site on this machine would be refused as a mirror of itself.
  const port = isOnThisMachine(parts.originUrl, wanted.port) ? 0 : await freePort(wanted.port);
  const ports = { port, adminPort: wanted.adminPort === port ? 0 : await freePort(wanted.adminPort) };
  const settings = trialSettings(parts, ports);
  const app = await startApp({ settings, trial, log });
  const used = { port: app.downloadPort, adminPort: app.adminPort };
  const replaced = (["port", "adminPort"] as const).filter((name) => ports[name] !== wanted[name]);
  const { publicScheme, publicPort } = settings.server;
  const place = { publicScheme, publicPort, port: app.downloadPort };
  return { app, place, ports, replacedPorts: replaced.map((name) => ({ wanted: wanted[name], used: used[name] })) };
}

/** The port, or 0 if another program listens there. */
const freePort = async (port: number) => ((await isPortFree(port, "127.0.0.1")) ? port : 0);

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

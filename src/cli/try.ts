// `huiyuan try`: starts a mirror with temporary settings and an embedded bucket. Its origin is a sample site, unless a
// URL is given. It shows the pictures on a page, sends the first two requests itself and reports them.
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { type App, startApp } from "../app.ts";
import { abortable } from "../async/cancellation.ts";
import { type Key, toKey } from "../core/object.ts";
import { findPictures, type HomePage, isPrivateOrigin } from "../doctor/find-pictures.ts";
import { encodeKeyForPath } from "../http/request/target.ts";
import { type PublicPlace, publicBase, publicUrl } from "../http/response/public-url.ts";
import { isLoopbackHost } from "../settings/hosts.ts";
import { createLogger } from "./logger.ts";
import { newCommand, stopSignal, type Terminal } from "./terminal.ts";
import type { PageServer } from "./trial/page-server.ts";
import { readSamplePictures } from "./trial/sample-pictures.ts";
import { startSampleSite } from "./trial/sample-site.ts";
import { startSiteGallery } from "./trial/site-gallery.ts";
import { isFetched, timedRequest, waitUntilStored } from "./trial/timed-request.ts";
import {
  MEMBERS_HOST,
  MIRROR_HOST,
  makeTrialKeys,
  type TrialKeys,
  type TrialParts,
  trialSettings,
  trialToken,
} from "./trial/trial-settings.ts";
import { describeTrial, type FirstRequests, PATH_OF_AN_IMAGE, type ReplacedPort } from "./trial/try-report.ts";

interface TryFlags {
  readonly port: number;
  readonly adminPort: number;
  readonly json: boolean;
}

/** The origin of the trial. `sample` is the sample site, if no URL was given. */
interface TrialOrigin extends HomePage {
  readonly url: string;
  readonly isPrivate: boolean;
  readonly sample: PageServer | undefined;
}

const SAMPLE_DELAY_MS = 60;
const STORED_MS = 500;
/** For the first two requests. */
const DEADLINE_MS = 10_000;

const HELP = `Needs no settings file, and keeps nothing: all images are in a temporary folder,
which is removed at the end (Ctrl-C).

Examples:
  huiyuan try
  huiyuan try https://your.site --port 0`;

export function tryCommand(terminal: Terminal): Command {
  return newCommand(terminal, "try", "run a trial mirror of a sample site, or of yours", HELP)
    .argument("[origin-url]", "site to mirror, such as https://your.site (default: a sample site)", parseOrigin)
    .option("-p, --port <port>", "port of the mirror; 0 takes any free one", parsePort, 8080)
    .option("--admin-port <port>", "port of health and metrics; 0 takes any free one", parsePort, 8081)
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
    let bound: PublicPlace | undefined;
    const mirrorUrl = (key: Key) => (bound && publicUrl(bound, MIRROR_HOST, key)) ?? "";
    const origin = await abortable(openOrigin(originUrl, mirrorUrl), signal);
    undo.push(async () => origin.sample?.close());
    const keys = makeTrialKeys();
    const parts = { folder, originUrl: origin.url, isPrivate: origin.isPrivate, keys };
    const { app, place, replacedPorts } = await startOnFreePorts(parts, flags, terminal);
    undo.push(() => app.stop());
    bound = place;
    const requests = await abortable(firstRequests(origin, mirrorUrl), signal);
    const gallery = origin.sample ?? (await openGallery(origin, mirrorUrl, requests));
    if (gallery !== origin.sample) undo.push(() => gallery.close());
    const report = {
      originUrl: origin.url,
      trouble: origin.trouble,
      isSample: origin.sample !== undefined,
      galleryUrl: `${gallery.url}/`,
      ...urlsOf(origin, place, keys),
      adminUrl: `http://127.0.0.1:${app.adminPort}/`,
      replacedPorts,
      requests,
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

async function openOrigin(originUrl: string | undefined, mirrorUrl: (key: Key) => string): Promise<TrialOrigin> {
  if (originUrl !== undefined) {
    const isPrivate = await isPrivateOrigin(originUrl);
    return { url: originUrl, isPrivate, ...(await findPictures(originUrl, isPrivate)), sample: undefined };
  }
  const samples = await readSamplePictures();
  const keyOf = (name: string) => toKey(`images/${name}`);
  const urlOf = (name: string) => mirrorUrl(keyOf(name));
  const sample = await startSampleSite({ pictures: samples, mirrorUrl: urlOf, delayMs: SAMPLE_DELAY_MS });
  const pictures = samples.map(({ name }) => keyOf(name));
  return { url: sample.url, isPrivate: true, pictures, trouble: undefined, sample };
}

function openGallery(
  { url: siteUrl, trouble, pictures }: TrialOrigin,
  mirrorUrl: (key: Key) => string,
  requests: FirstRequests | undefined,
): Promise<PageServer> {
  const [picture] = pictures;
  const first = requests?.first;
  const fetchedMs = new Map(picture !== undefined && isFetched(first) ? [[picture, first.milliseconds]] : []);
  return startSiteGallery({ siteUrl, trouble, pictures, mirrorUrl, fetchedMs });
}

function urlsOf({ pictures: [picture] }: TrialOrigin, place: PublicPlace, keys: TrialKeys) {
  const path = picture === undefined ? PATH_OF_AN_IMAGE : encodeKeyForPath(picture);
  const token = encodeURIComponent(trialToken(picture ?? "", keys));
  return {
    mirrorUrl: `${publicBase(place, MIRROR_HOST)}/${path}`,
    signedUrl: `${publicBase(place, MEMBERS_HOST)}/${path}?sign=${token}`,
  };
}

/** Takes any free port if a wanted one is taken, because a trial must start. */
async function startOnFreePorts(
  parts: TrialParts,
  wanted: TryFlags,
  terminal: Terminal,
): Promise<{ readonly app: App; readonly place: PublicPlace; readonly replacedPorts: readonly ReplacedPort[] }> {
  const log = createLogger({ isInteractive: terminal.isInteractive, level: "warn", destination: terminal.err });
  // Settings that name the port of a site on this machine would be refused as a mirror of itself.
  const port = loopbackPort(parts.originUrl) === wanted.port ? 0 : await freePort(wanted.port);
  const ports = { port, adminPort: wanted.adminPort === port ? 0 : await freePort(wanted.adminPort) };
  const settings = trialSettings(parts, ports);
  const app = await startApp({ settings, log });
  const used = { port: app.downloadPort, adminPort: app.adminPort };
  const replaced = (["port", "adminPort"] as const).filter((name) => ports[name] !== wanted[name]);
  const { publicScheme, publicPort } = settings.server;
  const place = { publicScheme, publicPort, port: app.downloadPort };
  return { app, place, replacedPorts: replaced.map((name) => ({ wanted: wanted[name], used: used[name] })) };
}

/** The port, or 0 if another program listens there. */
async function freePort(port: number): Promise<number> {
  const server = createServer().listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EADDRINUSE") return 0;
  } finally {
    server.close();
  }
  return port; // Another failure, such as a port below 1024, is reported by the start.
}

/** The port of an origin on this machine; undefined for others. */
function loopbackPort(originUrl: string): number | undefined {
  const { hostname, port, protocol } = new URL(originUrl);
  return isLoopbackHost(hostname) ? Number(port || (protocol === "https:" ? 443 : 80)) : undefined;
}

/**
 * Sends one miss and one hit over HTTP. In between it waits for the image to be stored, half a second at most.
 * Undefined if no picture of the site is known, or if it does not arrive within DEADLINE_MS.
 */
async function firstRequests(
  { pictures: [picture] }: TrialOrigin,
  mirrorUrl: (key: Key) => string,
): Promise<FirstRequests | undefined> {
  if (picture === undefined) return undefined;
  const url = mirrorUrl(picture);
  const signal = AbortSignal.timeout(DEADLINE_MS);
  try {
    const first = await timedRequest(url, signal);
    if (first.status === 200) await waitUntilStored(url, STORED_MS);
    return { first, second: await timedRequest(url, signal) };
  } catch {
    return undefined; // The gallery says so.
  }
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

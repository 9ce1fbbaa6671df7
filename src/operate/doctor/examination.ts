// Runs all checks of one origin, within limits of time and bytes. It prints nothing.

import { randomBytes } from "node:crypto";
import { toKey } from "../../core/object.ts";
import type { Probe, ProbedConnection, ProbeReply } from "../../serve/origin/kinds/probe.ts";
import { formatBytes } from "../cli/terminal.ts";
import { checkBehaviour } from "./check-behaviour.ts";
import { failed, finding, formatMs, type Notes, noReply, originFailure, type Verdict } from "./finding.ts";
import { checkSamples, type Fetched, findSample, type Sample, UTF8_MEANS } from "./samples.ts";

export interface ExaminationOptions {
  readonly originUrl: string;
  /** If empty, the home page is searched for an image. */
  readonly samples: readonly Sample[];
  /** True if a Referer may be tried, because none is configured. */
  readonly mayTryReferer: boolean;
  /** Largest number of bytes to read in all. */
  readonly maxTotalBytes: number;
}

/**
 * False if the origin cannot be reached. Findings are in `notes`. Throws only for failures of this program, and the
 * reason of an aborted `notes.signal`.
 */
export async function examine(probe: Probe, options: ExaminationOptions, notes: Notes): Promise<boolean> {
  try {
    if (!(await checkConnection(probe, notes, Date.now()))) return false;
    const samples = await samplesOf(probe, options, notes);
    const whole = await checkSamples(probe, samples, notes);
    const [first] = whole;
    if (first === undefined && samples.length > 0) notes.say("sample", finding.problem("no sample is a whole image"));
    if (first === undefined && options.mayTryReferer) await checkReferer(probe, samples, options.originUrl, notes);
    await checkMissing(probe, notes);
    if (samples.length > 0) notes.say("names", assessNames(samples, whole));
    if (first !== undefined) await checkBehaviour(probe, first, notes);
  } catch (error) {
    notes.signal.throwIfAborted();
    if (!(error instanceof Error && "code" in error && error.code === "overloaded")) throw error;
    const found = `stopped after ${formatBytes(options.maxTotalBytes)}: give smaller or fewer samples for the rest`;
    notes.say("bytes", finding.warning(found));
  }
  return true;
}

/** Checks if the origin serves the image with a Referer of its own pages (Referer 防盗链). No sample was whole before. */
async function checkReferer(probe: Probe, [sample]: readonly Sample[], originUrl: string, notes: Notes): Promise<void> {
  if (sample === undefined) return;
  const referer = `${new URL(originUrl).origin}/`;
  const request = { method: "GET", target: probe.target(sample.path, sample.query), headers: { referer } } as const;
  const answer = await probe.ask(request).catch(noReply(notes));
  if (answer?.verdict !== "whole") return;
  notes.hints.referer = referer;
  const means =
    "The origin has a Referer list: the proposal sends this one. Run the doctor again with --referer for more checks.";
  notes.say("referer", finding.warning(`with Referer ${referer} the image is whole`, means));
}

/** Non-ASCII names are requested in UTF-8, but old Chinese sites may name their files in GBK. */
function assessNames(samples: readonly Sample[], whole: readonly Fetched[]): Verdict {
  const sample = samples.find(({ path }) => /[^\0-\x7f]/.test(path));
  if (sample === undefined) {
    const found = "no sample has a non-ASCII name, so it is unknown if the origin accepts UTF-8 names";
    return finding.note(found, "Add one if the site has such names: 图片/1.jpg");
  }
  if (whole.some((fetched) => fetched.sample === sample))
    return finding.good(`${sample.name} is found under its UTF-8 name`);
  const found = `${sample.name} is no whole image under its UTF-8 name; does the site name its files in GBK?`;
  return finding.problem(found, UTF8_MEANS);
}

async function samplesOf(
  probe: Probe,
  { samples, originUrl }: ExaminationOptions,
  notes: Notes,
): Promise<readonly Sample[]> {
  if (samples.length > 0) return samples;
  const found = await findSample(probe, originUrl).catch(noReply(notes));
  if (found !== undefined) return [found];
  const means = "Name one or more for a closer check: huiyuan doctor URL images/a.jpg";
  notes.say("sample", finding.warning("the home page shows no image below this URL", means));
  return [];
}

const SOON_MS = 21 * 86_400_000;
const SLOW_MS = 1_000;

/**
 * Checks if the origin can be reached, how fast it connects, and its TLS certificate. False if it cannot be reached, so
 * further checks make no sense.
 */
async function checkConnection(probe: Probe, notes: Notes, now: number): Promise<boolean> {
  try {
    const connection = await probe.connect();
    notes.say("connection", assessConnection(connection));
    notes.say("tls", assessTls(connection.tls, now));
    return true;
  } catch (error) {
    const failure = originFailure(error, notes);
    notes.say("connection", failed(failure));
    return false;
  }
}

function assessConnection({ address, milliseconds }: ProbedConnection): Verdict {
  const found = `connects to ${address} in ${formatMs(milliseconds)}`;
  if (milliseconds < SLOW_MS) return finding.good(found);
  return finding.warning(found, "Every new connection takes this time, and timeouts.connect is 3s.");
}

function assessTls(tls: ProbedConnection["tls"], now: number): Verdict {
  if (tls === undefined) {
    const means = "Others on the network path can read and change images. Use https if the origin supports it.";
    return finding.note("plain http, no TLS", means);
  }
  const until = Number.isNaN(tls.validTo) ? "an unknown day" : new Date(tls.validTo).toISOString().slice(0, 10);
  const found = `${tls.protocol}, certificate by ${tls.issuer}, valid until ${until}`;
  if (tls.validTo - now > SOON_MS) return finding.good(found);
  return finding.warning(found, "After it has expired, every fetch from this origin fails.");
}

/** Checks the answer to an image that does not exist. The mirror treats only 404 and 410 as absence. */
async function checkMissing(probe: Probe, notes: Notes): Promise<void> {
  const name = `huiyuan-doctor-${randomBytes(6).toString("hex")}.jpg`;
  try {
    notes.say("missing", assessMissing(await probe.ask({ method: "GET", target: probe.target(toKey(name), "") })));
  } catch (error) {
    const { code } = originFailure(error, notes);
    const found = `a missing image is not answered (${code})`;
    notes.say("missing", finding.warning(found, "Clients that request a missing image get 424 instead of 404."));
  }
}

function assessMissing({ status, verdict, hops }: ProbeReply): Verdict {
  const through = hops.length > 1 ? ` after a redirect to ${hops.at(-1)?.url}` : "";
  const found = `a missing image is ${status}`;
  if (verdict === "absent") return finding.good(`${found}${through}`);
  if (verdict === "whole" || verdict === "suspect") {
    const means =
      "That picture would be stored under every invented name, and new images would never appear. The origin must answer 404; `fallbackKey` serves a picture of your own with it.";
    return finding.problem(`a missing image is answered with ${status} and a picture${through}`, means, "picture");
  }
  if (status === 200) {
    const means =
      "Such pages are never stored, but clients get 424 instead of 404, and each request goes to the origin. The origin should answer 404.";
    const what = "a missing image is answered with 200 and a body that is not an image";
    return finding.problem(`${what}${through}`, means, "page");
  }
  const means =
    status === 403
      ? "Clients get 424 instead of 404. Object stores answer 403 if the key may read but not list: allow it to list the bucket."
      : "Clients get 424 instead of 404, and each request goes to the origin. The origin should answer 404.";
  return finding.warning(`${found} (${verdict})${through}`, means, status === 403 ? "forbidden" : undefined);
}

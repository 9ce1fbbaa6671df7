// Runs all checks of one origin, within limits of time and bytes. It prints nothing.
import type { Probe } from "../../origin/kinds/probe.ts";
import { checkBehaviour } from "./check-behaviour.ts";
import { checkConnection } from "./check-connection.ts";
import { checkMissing } from "./check-missing.ts";
import { checkNames } from "./check-names.ts";
import { checkSamples } from "./check-samples.ts";
import { formatBytes, type Notes, originFailure } from "./finding.ts";
import { findSample, type Sample, targetOf } from "./samples.ts";

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
    const good = await checkSamples(probe, samples, notes);
    if (good.length === 0) await reportNoImage(probe, samples, options, notes);
    await checkMissing(probe, notes);
    const names = samples.length === 0 ? undefined : await checkNames(probe, samples, notes);
    if (names !== undefined) notes.say(names);
    const [first] = good;
    if (first !== undefined) await checkBehaviour(probe, first, notes);
  } catch (error) {
    notes.signal.throwIfAborted();
    if (!(error instanceof Error && "code" in error && error.code === "overloaded")) throw error;
    const found = `stopped after ${formatBytes(options.maxTotalBytes)}: give smaller or fewer samples for the rest`;
    notes.say({ id: "bytes", severity: "warning", found });
  }
  return true;
}

async function reportNoImage(
  probe: Probe,
  samples: readonly Sample[],
  { originUrl, mayTryReferer }: ExaminationOptions,
  notes: Notes,
): Promise<void> {
  if (samples.length > 0) notes.say({ id: "sample", severity: "problem", found: "no sample is a whole image" });
  if (mayTryReferer) await checkReferer(probe, samples, originUrl, notes);
}

/** Checks if the origin serves the image with a Referer of its own pages (Referer 防盗链). No sample was whole before. */
async function checkReferer(probe: Probe, [sample]: readonly Sample[], originUrl: string, notes: Notes): Promise<void> {
  if (sample === undefined) return;
  const referer = `${new URL(originUrl).origin}/`;
  notes.doing(`GET ${sample.name} with Referer`);
  const request = { method: "GET", target: targetOf(sample, probe), headers: { referer } } as const;
  const answer = await probe.ask(request).catch((error: unknown) => {
    originFailure(error, notes);
    return undefined;
  });
  if (answer?.verdict !== "whole") return;
  notes.hints.referer = referer;
  const found = `with Referer ${referer} the image is whole`;
  const means =
    "The origin has a Referer list: the proposal sends this one. Run the doctor again with --referer for more checks.";
  notes.say({ id: "referer", severity: "warning", found, means });
}

async function samplesOf(
  probe: Probe,
  { samples, originUrl }: ExaminationOptions,
  notes: Notes,
): Promise<readonly Sample[]> {
  if (samples.length > 0) return samples;
  notes.doing("looking for an image on the home page");
  const found = await findSample(probe, originUrl).catch((error: unknown) => {
    originFailure(error, notes);
    return undefined;
  });
  if (found !== undefined) return [found];
  const means = "Name one or more for a closer check: huiyuan doctor URL images/a.jpg";
  notes.say({ id: "sample", severity: "warning", found: "the home page shows no image below this URL", means });
  return [];
}

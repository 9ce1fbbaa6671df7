// The whole examination of one origin, check after check, within its time and its bytes. It prints nothing.
import type { Probe } from "../../origin/kinds/probe.ts";
import { checkBehaviour } from "./check-behaviour.ts";
import { checkConnection } from "./check-connection.ts";
import { checkMissing } from "./check-missing.ts";
import { checkNames } from "./check-names.ts";
import { checkReferer } from "./check-referer.ts";
import { checkSamples } from "./check-samples.ts";
import { amount, type Notes, originFailure } from "./finding.ts";
import { findSample, type Sample } from "./samples.ts";

export interface Order {
  readonly originUrl: string;
  /** Empty: one is looked for on the home page. */
  readonly samples: readonly Sample[];
  /** Whether a Referer may be tried: none is configured. */
  readonly mayTryReferer: boolean;
  /** Bytes that may be read in all. */
  readonly maxTotalBytes: number;
}

/** False: it cannot be reached. What was found is in `notes`. Never throws but for a failure of this program, and the reason of an aborted `notes.signal`. */
export async function examine(probe: Probe, order: Order, notes: Notes): Promise<boolean> {
  try {
    if (!(await checkConnection(probe, notes, Date.now()))) return false;
    const samples = await samplesOf(probe, order, notes);
    const good = await checkSamples(probe, samples, notes);
    if (good.length === 0) await tellNoImage(probe, samples, order, notes);
    await checkMissing(probe, notes);
    const names = samples.length === 0 ? undefined : await checkNames(probe, samples, notes);
    if (names !== undefined) notes.say(names);
    const [first] = good;
    if (first !== undefined) await checkBehaviour(probe, first, notes);
  } catch (error) {
    notes.signal.throwIfAborted();
    if (!(error instanceof Error && "code" in error && error.code === "overloaded")) throw error;
    const found = `stopped after ${amount(order.maxTotalBytes)}: give smaller or fewer samples for the rest`;
    notes.say({ id: "bytes", severity: "warning", found });
  }
  return true;
}

async function tellNoImage(
  probe: Probe,
  samples: readonly Sample[],
  { originUrl, mayTryReferer }: Order,
  notes: Notes,
): Promise<void> {
  if (samples.length > 0) notes.say({ id: "sample", severity: "problem", found: "no sample came as a whole image" });
  if (mayTryReferer) await checkReferer(probe, samples, originUrl, notes);
}

async function samplesOf(probe: Probe, { samples, originUrl }: Order, notes: Notes): Promise<readonly Sample[]> {
  if (samples.length > 0) return samples;
  notes.doing("looking for an image on the home page");
  const found = await findSample(probe, originUrl).catch((error: unknown) => {
    originFailure(error, notes);
    return undefined;
  });
  if (found !== undefined) return [found];
  const means = "Name one or more, and it is looked at closely: huiyuan doctor URL images/a.jpg";
  notes.say({ id: "sample", severity: "warning", found: "the home page shows no image below this URL", means });
  return [];
}

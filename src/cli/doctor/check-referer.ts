// Whether images that are refused come when the request says that it comes from the site's own pages (Referer 防盗链).
import type { Probe } from "../../origin/kinds/probe.ts";
import { type Notes, originFailure } from "./finding.ts";
import { type Sample, targetOf } from "./samples.ts";

/** `samples`: none of them came whole. */
export async function checkReferer(
  probe: Probe,
  [sample]: readonly Sample[],
  originUrl: string,
  notes: Notes,
): Promise<void> {
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
  const found = `with Referer ${referer} the image comes whole`;
  const means =
    "The origin has a Referer list: the proposal sends this one. Run the doctor again with --referer to see more.";
  notes.say({ id: "referer", severity: "warning", found, means });
}

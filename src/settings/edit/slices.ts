// Carries settings out of a thread. A structured clone of thousands of buckets would hold the event loop, so they
// travel as texts, each of a part that takes a few milliseconds to read.
import { createPauses } from "../../async/pauses.ts";
import { deepFreeze } from "../load.ts";
import type { BucketSettings, DomainSettings, ProjectSettings, Settings } from "../schema/schema.ts";
import { hideSecrets } from "../secrets.ts";

/** Projects come before their buckets, and buckets before their domains. */
type Part =
  | { readonly project: ProjectSettings }
  | { readonly bucket: BucketSettings }
  | { readonly domain: DomainSettings };

const PARTS_IN_A_SLICE = 100;

/** `settings`: with secrets that JSON.stringify() shows. The first text has no projects. */
export function toSlices({ projects, ...rest }: Settings): readonly string[] {
  const parts = projects.flatMap((project) => [
    { project: { ...project, buckets: [] } },
    ...project.buckets.flatMap((bucket) => [
      { bucket: { ...bucket, domains: [] } },
      ...bucket.domains.map((domain) => ({ domain })),
    ]),
  ]) satisfies Part[];
  const slices = [JSON.stringify(rest)];
  for (let at = 0; at < parts.length; at += PARTS_IN_A_SLICE)
    slices.push(JSON.stringify(parts.slice(at, at + PARTS_IN_A_SLICE)));
  return slices;
}

/** The settings as parseSettings() returns them. */
export async function fromSlices([first = "", ...slices]: readonly string[]): Promise<Settings> {
  const pause = createPauses();
  const projects: (Omit<ProjectSettings, "buckets"> & { readonly buckets: BucketSettings[] })[] = [];
  const settings = { ...JSON.parse(first), projects } as Settings;
  hideSecrets(settings);
  let domains: DomainSettings[] = [];
  for (const slice of slices) {
    const parts = JSON.parse(slice) as Part[];
    hideSecrets({ projects: parts.map(asProject) });
    for (const part of parts) {
      if ("project" in part) projects.push(Object.assign(part.project, { buckets: [] }));
      else if ("domain" in part) domains.push(deepFreeze(part.domain));
      else {
        domains = [];
        projects.at(-1)?.buckets.push(Object.assign(part.bucket, { domains }));
      }
    }
    await pause();
  }
  for (const bucket of projects.flatMap(({ buckets }) => buckets)) {
    deepFreeze(bucket);
    await pause();
  }
  return deepFreeze(settings);
}

/** A project that has this part alone, at its place. */
function asProject(part: Part): object {
  if ("project" in part) return part.project;
  return { buckets: ["bucket" in part ? part.bucket : { domains: [part.domain] }] };
}

// Checks non-ASCII names: the mirror requests them in UTF-8, but old Chinese sites may name their files in GBK.
import type { Probe } from "../../origin/kinds/probe.ts";
import { type Finding, type Notes, originFailure } from "./finding.ts";
import { gbkPath } from "./gbk.ts";
import type { Sample } from "./samples.ts";

const MEANS =
  "Keys are UTF-8, and other URLs get 400. Rename the files at the origin, or make it accept UTF-8 names (nginx: store them so; IIS and Apache: by module).";

export async function checkNames(probe: Probe, samples: readonly Sample[], notes: Notes): Promise<Finding | undefined> {
  const gbk = samples.find((sample) => sample.kind === "gbk");
  if (gbk !== undefined)
    return {
      id: "names",
      severity: "problem",
      found: `${gbk.name} is not UTF-8, but probably GBK`,
      means: MEANS,
    };
  const keys = samples.filter((sample) => sample.kind === "key");
  const sample = keys.find(({ path }) => /[^\0-\x7f]/.test(path));
  if (sample === undefined) {
    const found = "no sample has a non-ASCII name, so it is unknown if the origin accepts UTF-8 names";
    return {
      id: "names",
      severity: "note",
      found,
      means: "Add one if the site has such names: 图片/1.jpg",
    };
  }
  notes.doing(`GET ${sample.name} in UTF-8 and in GBK`);
  const ask = async (target: string) => {
    try {
      return (await probe.ask({ method: "GET", target })).verdict;
    } catch (error) {
      return originFailure(error, notes).code;
    }
  };
  if ((await ask(probe.target(sample.path, sample.query))) === "whole")
    return { id: "names", severity: "good", found: `${sample.name} is found under its UTF-8 name` };
  const raw = gbkPath(sample.path);
  if (raw !== undefined && (await ask(probe.rawTarget(`/${raw}`))) === "whole") {
    const found = `${sample.name} is not found under its UTF-8 name, but under its GBK name`;
    return { id: "names", severity: "problem", found, means: MEANS };
  }
  return undefined;
}

// Merges a rule into its domain's mirror source: settings of the rule win. Pure.
import { isMapping } from "./checks/path-nodes.ts";
import { mirrorShape } from "./schema/mirror-schema.ts";
import type { MirrorSettings, RuleSettings } from "./schema/schema.ts";

/** The mirror source of a rule. Scalars and lists of the rule replace the domain's; mappings are merged key by key. */
export function mergeRule(mirror: MirrorSettings, rule: RuleSettings): MirrorSettings {
  const keys = Object.keys(mirrorShape) as (keyof typeof mirrorShape)[];
  const own = keys.flatMap((key) => {
    const [whole, part] = [mirror[key], rule[key]];
    if (part === undefined) return [];
    return [[key, isMapping(whole) && isMapping(part) ? { ...whole, ...part } : part]];
  });
  return { ...mirror, ...Object.fromEntries(own), rules: [] };
}

// Merges a rule into its domain's mirror source: settings of the rule win. Pure.
import type { MirrorSettings, RuleSettings } from "./schema/schema.ts";

/** The mirror source of a rule. Scalars and lists of the rule replace the domain's; mappings are merged key by key. */
export function mergeRule(mirror: MirrorSettings, rule: RuleSettings): MirrorSettings {
  return {
    type: rule.type ?? mirror.type,
    keyQuery: rule.keyQuery ?? mirror.keyQuery,
    processedMiss: rule.processedMiss ?? mirror.processedMiss,
    headMiss: rule.headMiss ?? mirror.headMiss,
    transparentErrors: rule.transparentErrors ?? mirror.transparentErrors,
    negativeTtl: rule.negativeTtl ?? mirror.negativeTtl,
    passQuery: rule.passQuery ?? mirror.passQuery,
    suspects: rule.suspects ?? mirror.suspects,
    origins: rule.origins ?? mirror.origins,
    failoverOn: rule.failoverOn ?? mirror.failoverOn,
    allowedTypes: rule.allowedTypes ?? mirror.allowedTypes,
    objectSize: rule.objectSize ?? mirror.objectSize,
    freshness: merged(mirror.freshness, rule.freshness),
    timeouts: merged(mirror.timeouts, rule.timeouts),
    breaker: merged(mirror.breaker, rule.breaker),
    maxKeys: mirror.maxKeys,
    rules: [],
  };
}

type Partly<Whole> = { readonly [Key in keyof Whole]?: Whole[Key] | undefined };

/** Keys that the rule leaves out are absent from `part`, never undefined. */
function merged<Whole extends object>(whole: Whole, part: Partly<Whole> | undefined): Whole {
  return part === undefined ? whole : ({ ...whole, ...part } as Whole); // absent keys replace nothing
}

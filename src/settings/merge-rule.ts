// What a rule makes of its domain's mirror source: the rule's own settings over the domain's. Pure.
import type { MirrorSettings, RuleSettings } from "./schema/schema.ts";

/** The mirror source under a rule. A scalar or list of the rule replaces the domain's; of a mapping each key does. */
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

/** A key that the rule does not name is absent from its mapping, never undefined. */
function merged<Whole extends object>(whole: Whole, part: Partly<Whole> | undefined): Whole {
  return part === undefined ? whole : ({ ...whole, ...part } as Whole); // absent keys take nothing away
}

// Part of the composition root: makes the routes of a domain from its mirror source: one for each rule, then the
// domain's own. Each route has its own mirror, so that rules do not share fills and failures.
import { toKey } from "../core/object.ts";
import type { MirrorSource, Route } from "../http/request/site.ts";
import type { Mirror } from "../mirror/mirror.ts";
import { createOriginalsFinder, createRuleFinder, keepsQuery } from "../mirror/rules.ts";
import { passedHeaderFault } from "../settings/checks/origin-rules.ts";
import { mergeRule } from "../settings/domains.ts";
import { ruleSchema } from "../settings/schema/rule-schema.ts";
import type { MirrorSettings, OriginSettings, RuleSettings } from "../settings/schema/schema.ts";

/** True if the mirror source, or one of its rules, makes queries a part of keys. */
export function keepsQueries(domain: MirrorSettings): boolean {
  return keepsQuery(domain) || domain.rules.some((rule) => keepsQuery(mergeRule(domain, rule)));
}

/**
 * `keysHaveQueries`: true if keepsQueries() holds for any mirror source of the bucket. `toMirror` returns the mirror of
 * a source, and creates it if there is none.
 */
export function createMirrorSource(
  domain: MirrorSettings,
  keysHaveQueries: boolean,
  toMirror: (source: MirrorSettings) => Mirror,
): MirrorSource {
  const routeOf = (rule: RuleSettings, index?: number): Route => {
    const { match, action, path, setQuery, denyQuery, followRedirects, redirectStatus, fallbackKey } = rule;
    const source = mergeRule(domain, rule);
    const { type, keyQuery, passQuery, processedMiss, origins } = source;
    return {
      ...{ match, action, path, setQuery, denyQuery, followRedirects, type, keyQuery, passQuery, processedMiss },
      keysHaveQueries,
      rule: index,
      passes: createHeaderFilter(rule.passHeaders, origins),
      setHeaders: lowerCaseNames(rule.passHeaders.set),
      mirror: toMirror(source),
      redirect: { base: rule.redirectTo ?? publicBase(origins), status: redirectStatus },
      fallback: fallbackKey === undefined ? undefined : { key: toKey(fallbackKey), status: rule.fallbackStatus },
    };
  };
  const routes = domain.rules.map(routeOf);
  const own = routeOf(ruleSchema.parse({}));
  const find = createRuleFinder(routes);
  const all = [...routes, own];
  return {
    keysHaveQueries,
    ages: all.some(({ mirror: { revalidation } }) => revalidation.isFresh !== undefined),
    route: (request) => find(request) ?? own,
    processes: createOriginalsFinder(all),
  };
}

/** Decides which client headers reach the origin, if any. A client never replaces a header that the operator set. */
function createHeaderFilter(
  { allow, deny, set }: RuleSettings["passHeaders"],
  origins: readonly OriginSettings[],
): ((name: string) => boolean) | undefined {
  if (allow.length === 0) return undefined;
  const isForAll = allow.includes("*");
  const allowed = new Set(allow.map((name) => name.toLowerCase()));
  const taken = origins.flatMap((origin) => (origin.type === "site" ? Object.keys(origin.headers) : []));
  const referers = origins.some((origin) => origin.type !== "s3" && origin.referer !== "") ? ["referer"] : [];
  const denied = new Set([...deny, ...Object.keys(set), ...taken, ...referers].map((name) => name.toLowerCase()));
  return (name) => (isForAll || allowed.has(name)) && !denied.has(name) && passedHeaderFault(name) === undefined;
}

function lowerCaseNames(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

/** URL of the first origin for redirects of clients; undefined if the settings need redirectTo. */
function publicBase([origin]: readonly OriginSettings[]): string | undefined {
  if (origin?.type === "site") return origin.url;
  return origin?.type === "qiniu" ? origin.domain : undefined;
}

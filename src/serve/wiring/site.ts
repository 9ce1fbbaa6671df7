// Part of the composition root: makes the Site of one domain, and the routes of its mirror source: one for each rule,
// then its own. Each route has its own mirror, so that rules do not share fills and failures.
import { readFileSync } from "node:fs";
import { extname } from "node:path";
import { HuiyuanError } from "../../core/errors.ts";
import { toKey } from "../../core/object.ts";
import { passedHeaderFault } from "../../settings/checks/origin-checks.ts";
import { type Binding, mergeRule } from "../../settings/domains.ts";
import { ruleSchema } from "../../settings/schema/rule-schema.ts";
import type { MirrorSettings, OriginSettings, RuleSettings } from "../../settings/schema/schema.ts";
import { MAX_FILE_BYTES } from "../../settings/small-file.ts";
import { type AuthorizerOptions, createAuthorizer } from "../http/request/authorizer.ts";
import type { MirrorSource, Route, Site } from "../http/request/site.ts";
import { createCacheControl } from "../http/response/cache-control.ts";
import { parseInstruction } from "../image/grammar/grammar.ts";
import { nameRecipe } from "../image/grammar/named-recipe.ts";
import type { Mirror } from "../mirror/mirror.ts";
import { createOriginalsFinder, createRuleFinder, keepsQuery, type RuleOptions } from "../mirror/rules.ts";
import type { Stored } from "../mirror/stored/stored.ts";
import type { Variants } from "../mirror/variants/variants.ts";

/** An open bucket: its objects, and the variants that are made from them. */
export interface OpenBucket {
  readonly stored: Stored;
  readonly variants: Variants;
}

/** The parts of token checks that all sites share. */
export type TokenChecks = Pick<AuthorizerOptions, "tokens" | "once" | "now">;

/** `domain`: its host, or `*`. Throws settings_invalid. */
export function createSite(
  domain: string,
  { project, bucket }: Binding,
  { stored, variants }: OpenBucket,
  source: MirrorSource | undefined,
  checks: TokenChecks,
): Site {
  const { grammarEra: era } = bucket;
  const { mode, ...listed } = bucket.referers;
  const toNamed = ([name, text]: [string, string]) => [name, nameRecipe(parseInstruction(text, { era }))] as const;
  const styles = Object.entries(bucket.styles).map(toNamed);
  const authorizer = createAuthorizer({
    appid: project.appid,
    bucket: bucket.name,
    acceptV1: project.acceptV1Signature,
    oneTimeDownloads: bucket.oneTimeDownloads,
    mode: bucket.signedCacheControl,
    tokens: checks.tokens,
    once: checks.once,
    now: checks.now,
  });
  return {
    domain,
    stored,
    variants,
    source,
    isProjectEnabled: project.enabled,
    separators: bucket.separators,
    aliases: new Map([...Object.entries(bucket.aliases).map(toNamed), ...styles]),
    styles: styles.map(([, named]) => named),
    acceptsInstructions: bucket.processing === "free",
    era,
    authorizer: bucket.token === "off" ? undefined : authorizer,
    originalAuthorizer: bucket.originalProtection ? authorizer : undefined,
    referers: mode === "off" ? undefined : { mode, ...listed },
    cacheControl: createCacheControl(bucket.cacheControl),
    cors: bucket.cors,
    notFoundPage: bucket.notFound === undefined ? undefined : readPage(bucket.notFound.file),
  };
}

/** Reads the bucket's own 404 page into memory, because it must be served even if the disk fails. */
function readPage(file: string): NonNullable<Site["notFoundPage"]> {
  const body = readFileSync(file);
  if (body.byteLength > MAX_FILE_BYTES) {
    throw new HuiyuanError(
      "settings_invalid",
      `Cannot use "${file}" as notFound page: ${body.byteLength} bytes, the limit is ${MAX_FILE_BYTES}`,
    );
  }
  return { body, mediaType: PAGE_TYPES[extname(file).toLowerCase()] ?? "application/octet-stream" };
}

const PAGE_TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".htm": "text/html; charset=utf-8",
  ".txt": "text/plain; charset=utf-8",
  ".png": "image/png",
  ".jpg": "image/jpeg",
  ".jpeg": "image/jpeg",
  ".gif": "image/gif",
  ".webp": "image/webp",
};

/** True if the mirror source, or one of its rules, makes queries a part of keys. */
export function keepsQueries(domain: MirrorSettings): boolean {
  return keepsQuery(domain) || domain.rules.some((rule) => keepsQuery(mergeRule(domain, rule)));
}

/** The rule of a domain whose own settings apply, because no written rule matches. */
export const makeOwnRule = (): RuleSettings => ruleSchema.parse({});

/**
 * `ownRule`: of makeOwnRule(). `keysHaveQueries`: true if keepsQueries() holds for any mirror source of the bucket.
 * `toMirror` returns the mirror of a source, and creates it if there is none. It is called when the source is first
 * used, or at once if `isUsed`: of many thousands of domains most are not used for a while.
 */
export function createMirrorSource(
  domain: MirrorSettings,
  {
    keysHaveQueries,
    ownRule,
    isUsed,
  }: { readonly keysHaveQueries: boolean; readonly ownRule: RuleSettings; readonly isUsed: boolean },
  toMirror: (source: MirrorSettings) => Mirror,
): MirrorSource {
  const routeOf = (rule: RuleSettings, index?: number): Route => {
    const { redirectStatus, fallbackKey } = rule;
    const source = mergeRule(domain, rule);
    const { origins } = source;
    return {
      ...ruleOptions(rule, source, keysHaveQueries),
      rule: index,
      mirror: toMirror(source),
      redirect: { base: rule.redirectTo ?? publicBase(origins), status: redirectStatus },
      fallback: fallbackKey === undefined ? undefined : { key: toKey(fallbackKey), status: rule.fallbackStatus },
    };
  };
  function make() {
    const routes = domain.rules.map(routeOf);
    const own = routeOf(ownRule);
    const all = [...routes, own];
    return {
      ages: all.some(({ mirror: { revalidation } }) => revalidation.isFresh !== undefined),
      route: createRuleFinder(routes, own),
      processes: createOriginalsFinder(all),
    };
  }
  let made = isUsed ? make() : undefined;
  const use = () => (made ??= make());
  return {
    keysHaveQueries,
    get ages() {
      return use().ages;
    },
    open: () => void use(),
    route: (request) => use().route(request),
    processes: (path) => use().processes(path),
  };
}

/** `source`: the mirror source of the rule, as from mergeRule(). */
export function ruleOptions(rule: RuleSettings, source: MirrorSettings, keysHaveQueries: boolean): RuleOptions {
  const { match, action, path, setQuery, denyQuery, followRedirects, passHeaders } = rule;
  const { type, keyQuery, passQuery, processedMiss, origins } = source;
  return {
    ...{ match, action, path, setQuery, denyQuery, followRedirects, type, keyQuery, passQuery, processedMiss },
    keysHaveQueries,
    passes: createHeaderFilter(passHeaders, origins),
    setHeaders: lowerCaseNames(passHeaders.set),
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

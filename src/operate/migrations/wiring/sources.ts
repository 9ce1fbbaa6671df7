// Part of the composition root: makes the source of a migration, from its config or from the origins of a domain.
import { randomBytes } from "node:crypto";
import { createSemaphore, type Release } from "../../../async/semaphore.ts";
import { HuiyuanError } from "../../../core/errors.ts";
import { few } from "../../../core/few.ts";
import type { Log } from "../../../core/log.ts";
import type { Key } from "../../../core/object.ts";
import { readVersion } from "../../../core/version.ts";
import { createRuleFinder, originRequestForKey } from "../../../serve/mirror/rules.ts";
import type { HttpOriginOptions } from "../../../serve/origin/kinds/http-origin.ts";
import { createOriginRegistry, type OriginParts, type OriginRegistry } from "../../../serve/wiring/origins.ts";
import { keepsQueries, ruleOptions } from "../../../serve/wiring/site.ts";
import { type Binding, bindDomains, mergeRule } from "../../../settings/domains.ts";
import { normalizeHost } from "../../../settings/hosts.ts";
import { ruleSchema } from "../../../settings/schema/rule-schema.ts";
import type { MirrorSettings, OriginSettings, Settings } from "../../../settings/schema/schema.ts";
import { ConfigFaults } from "../config/config.ts";
import type { SourceOptions } from "../config/source-options.ts";
import type { Source } from "../source.ts";
import { type KeyBases, readListedUrl } from "../sources/listed-url.ts";
import { createLocalSource } from "../sources/local.ts";
import type { Folders } from "../sources/local-paths.ts";
import { createOriginSource, type Listing, type Place } from "../sources/origins.ts";
import { createQiniuSource } from "../sources/qiniu.ts";
import { createS3Listing, createS3Source } from "../sources/s3.ts";
import { createSitemapListing } from "../sources/sitemap.ts";
import { createKeyListing, createUrlListSource } from "../sources/url-list.ts";
import type { SendToAdmin } from "../target.ts";

export interface SourceParts {
  /** Private addresses may be dialled for the hosts that the source names. */
  readonly allowPrivate: boolean;
  readonly folders: Folders;
  /** Objects at once. */
  readonly concurrency: number;
  /** Without progress. Milliseconds. */
  readonly timeoutMs: number;
  readonly log: Log;
  /** The admin API of the server that requests the same origins; undefined if none runs. */
  readonly server?: SendToAdmin | undefined;
}

/** The origins of a domain, and their listing. */
export type OriginListing = Extract<SourceOptions, { readonly type: "origins" }>;

const CONNECT_MS = 10_000;
/** A bound for one listing page or object; the runner gives up earlier what makes no progress. */
const TOTAL_MS = 3_600_000;

function httpOptions({ allowPrivate, concurrency, timeoutMs, log }: SourceParts): HttpOriginOptions {
  const connect = Math.min(CONNECT_MS, timeoutMs);
  return {
    allowPrivate,
    connections: concurrency,
    timeouts: { connect, firstByte: timeoutMs, idle: timeoutMs, total: TOTAL_MS },
    userAgent: `Huiyuan/${readVersion()}`,
    serverId: newServerId(),
    log,
    windows: { bytes: 0 },
  };
}

const newServerId = () => randomBytes(6).toString("hex");

/** `settings`: those with the domain, for its origins. Throws ConfigFaults. */
export function openSource(options: SourceOptions, parts: SourceParts, settings: Settings | undefined): Source {
  const http = httpOptions(parts);
  try {
    switch (options.type) {
      case "local":
        return createLocalSource({ ...options, folders: parts.folders });
      case "url-list":
        return createUrlListSource({ ...options, folders: parts.folders }, http);
      case "qiniu":
        return createQiniuSource(options, http);
      case "s3":
        return createS3Source({ ...options, allowPrivate: parts.allowPrivate }, http);
      case "origins":
        if (settings === undefined) throw new ConfigFaults(["--from-origin needs --settings."]);
        return openOrigins(settings, options, parts);
    }
  } catch (error) {
    if (!(error instanceof HuiyuanError)) throw error;
    throw new ConfigFaults([`${error.message}.`]);
  }
}

/**
 * The origins of a domain: its rules and failover, with breakers of their own and the budgets of a running server.
 * Throws ConfigFaults and url_invalid.
 */
function openOrigins(settings: Settings, listed: OriginListing, parts: SourceParts): Source {
  const { binding, mirror } = boundMirror(settings, listed.host);
  const { log, concurrency, server } = parts;
  const meter = { failedOver() {}, retried() {} };
  const fetches = createSemaphore(concurrency);
  const shared: OriginParts["shared"] =
    server && ((budget, origin) => shareBudget(budget, { origin, domain: listed.host }, server));
  const registry = createOriginRegistry({ log, meter, serverId: newServerId(), fetches, shared });
  const listing = openListing(mirror, listed, parts);
  return createOriginSource(listing, createPlacing(listed.host, binding, mirror, registry), () => registry.close());
}

/** `<appid>/<bucket>` of the domain. Throws ConfigFaults. */
export function bucketOfDomain(settings: Settings, host: string): string {
  const { project, bucket } = boundMirror(settings, host).binding;
  return `${project.appid}/${bucket.name}`;
}

/** Throws ConfigFaults if the domain has no origins, or if they cannot be listed. */
export function checkOrigins(settings: Settings, { host, list, sitemap }: OriginListing): void {
  const { mirror } = boundMirror(settings, host);
  if ((list ?? sitemap ?? listableStore(mirror)) === undefined) throw unlistable(host);
}

function boundMirror(settings: Settings, host: string) {
  // "*" is the domain for every other host.
  if (host !== "*" && normalizeHost(host) === undefined)
    throw new ConfigFaults([`${JSON.stringify(host)} is no host name.`]);
  const { hosts, star } = bindDomains(settings);
  const binding = hosts.get(host) ?? star;
  if (binding?.mirror !== undefined) return { binding, mirror: binding.mirror };
  const names = [...hosts].filter(([, { mirror }]) => mirror !== undefined).map(([name]) => name);
  throw new ConfigFaults([`The domain ${host} has no origins. Domains with origins: ${few(names)}.`]);
}

/** As the mirror applies its rules to a GET of the path. */
function createPlacing(host: string, { bucket }: Binding, mirror: MirrorSettings, registry: OriginRegistry) {
  const keysHaveQueries = bucket.domains.some((domain) => domain.mirror !== undefined && keepsQueries(domain.mirror));
  const routes = [...mirror.rules, ruleSchema.parse({})].map((rule) => {
    const source = mergeRule(mirror, rule);
    return { ...ruleOptions(rule, source, keysHaveQueries), origin: registry.originOf(source) };
  });
  const find = createRuleFinder(routes);
  return (path: Key): Place => {
    const fail = (found: string) => new HuiyuanError("request_invalid", `Cannot copy "${path}": ${found}`);
    const route = find({ path, method: "GET", host });
    if (route === undefined || route.action === "redirect" || route.action === "none")
      throw fail(`a rule of ${host} does not fetch it`);
    const target = originRequestForKey(route, { path, query: "", instruction: undefined }, {});
    if (target.key !== path) throw fail(`its key is "${target.key}"`);
    return { origin: route.origin, target };
  };
}

function openListing(mirror: MirrorSettings, { host, list, sitemap }: OriginListing, parts: SourceParts): Listing {
  const isRewritten = rewritesPaths(mirror);
  const bases = [...(isRewritten ? [] : mirror.origins.flatMap(basesOf)), `//${host}/`];
  if (list !== undefined) return createKeyListing({ file: list, bases, folders: parts.folders });
  if (sitemap !== undefined) {
    const at = readListedUrl(sitemap, "auto").origin.replace(/^https?:/, "");
    const sites = isRewritten ? [] : mirror.origins.filter((origin) => origin.type === "site");
    const near = sites.map(({ url }) => at + pathOf(url));
    return createSitemapListing(sitemap, [...bases, ...near], httpOptions(parts));
  }
  const s3 = listableStore(mirror);
  if (s3 === undefined) throw unlistable(host);
  return createS3Listing(s3, { ...httpOptions(parts), allowPrivate: s3.allowPrivate });
}

function rewritesPaths({ rules }: MirrorSettings): boolean {
  return rules.some(({ path }) => Object.values(path).some((part) => part !== undefined));
}

function listableStore(mirror: MirrorSettings) {
  return rewritesPaths(mirror) ? undefined : mirror.origins.find((origin) => origin.type === "s3");
}

function unlistable(host: string): ConfigFaults {
  const next = "give a list of keys or URLs (--list FILE), or a sitemap (--sitemap URL)";
  return new ConfigFaults([`The origins of ${host} cannot be listed: ${next}.`]);
}

function basesOf(origin: OriginSettings): KeyBases {
  if (origin.type === "s3") return [];
  const url = origin.type === "site" ? origin.url : origin.domain;
  const hosts = [new URL(url).host, ...(origin.type === "site" && origin.host !== "" ? [origin.host] : [])];
  return hosts.map((host) => `//${host}${pathOf(url)}`);
}

function pathOf(url: string): string {
  return `${decodeURIComponent(new URL(url).pathname).replace(/\/+$/, "")}/`;
}

type Budget = Parameters<NonNullable<OriginParts["shared"]>>[0];

/**
 * The budget of an origin that a running server requests too: each place is one of the server, which counts it as one
 * of its own requests. So live traffic and migrations keep to the origin's limits together. `place`: names the budget
 * to the server. enter() throws origin_busy and overloaded for the server's refusal too.
 */
function shareBudget(
  budget: Budget,
  place: { readonly origin: string; readonly domain: string },
  send: SendToAdmin,
): Budget {
  async function takePlace(signal: AbortSignal, waitMs: number): Promise<Release> {
    const held = new AbortController();
    const answer = await send("/api/v1/origins/place", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ ...place, waitMs: Math.ceil(waitMs) }),
      signal: AbortSignal.any([signal, held.signal]),
    }).catch((cause: unknown) => {
      signal.throwIfAborted();
      throw new HuiyuanError("overloaded", "the server does not answer any more", { cause });
    });
    if (answer.ok) return () => held.abort();
    const { message = `the server answered ${answer.status}` } = (await answer.json()) as { readonly message?: string };
    // The server has no such origin, for example because it has not read the new settings yet.
    if (answer.status === 404) return () => undefined;
    throw new HuiyuanError("overloaded", message);
  }

  return {
    ...budget,
    async enter(signal, waitMs) {
      const leave = await budget.enter(signal, waitMs);
      try {
        const release = await takePlace(signal, waitMs);
        return () => {
          release();
          leave();
        };
      } catch (error) {
        leave();
        throw error;
      }
    },
  };
}

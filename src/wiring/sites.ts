// Part of the composition root: turns settings into the snapshot of served domains. What is unchanged by a reload
// (buckets with their memory, origins with their connections, mirrors with their running fills) is carried over.
import { readFileSync } from "node:fs";
import { extname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { createReloadCache } from "../async/reload-cache.ts";
import { createBucket } from "../bucket/contract/bucket.ts";
import type { Store } from "../bucket/contract/driver.ts";
import { HuiyuanError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import type { ImageFormat, Key } from "../core/object.ts";
import { findWatermarks } from "../http/download/watermarks.ts";
import { type AuthorizerOptions, createAuthorizer } from "../http/request/authorizer.ts";
import type { Site, Sites } from "../http/request/site.ts";
import { createCacheControl } from "../http/response/cache-control.ts";
import type { Projects } from "../http/rest/project.ts";
import { parseInstruction } from "../image/grammar/grammar.ts";
import { nameRecipe } from "../image/grammar/named-recipe.ts";
import { createKeyBudget, type KeyBudget } from "../mirror/key-budget.ts";
import { createMirror, type Mirror } from "../mirror/mirror.ts";
import type { MirrorParts } from "../mirror/mirror-context.ts";
import { keepsQuery } from "../mirror/rules.ts";
import type { MemoryCache } from "../mirror/stored/memory-cache.ts";
import { createStored, type Stored } from "../mirror/stored/stored.ts";
import { type AheadTask, createRenderAhead } from "../mirror/variants/render-ahead.ts";
import { createVariants, type Variants, type VariantsOptions } from "../mirror/variants/variants.ts";
import type { OriginHealth } from "../origin/guard/health.ts";
import type { Origin } from "../origin/origin.ts";
import { type Binding, bindDomains } from "../settings/domains.ts";
import { fingerprintOf } from "../settings/fingerprint.ts";
import { MAX_PAGE_BYTES } from "../settings/load.ts";
import type { MirrorSettings, Settings } from "../settings/schema/schema.ts";
import type { OnceLedger } from "../sign/once.ts";
import type { KeyLookup, SigningKey } from "../sign/token.ts";
import { createVerifiedTokens, type VerifiedTokens } from "../sign/verified.ts";
import { createOriginRegistry } from "./origins.ts";
import { createProjects } from "./projects.ts";
import { createMirrorSource, keepsQueries } from "./routes.ts";

/** What the snapshots are made with; the same for every reload. */
export interface SiteParts {
  readonly store: Store;
  readonly once: OnceLedger;
  readonly memoryCache: MemoryCache;
  readonly mirror: MirrorParts;
  /** What the variants of all buckets share; `mirror`: of their own, for their fetches are renders. */
  readonly variants: Pick<VariantsOptions, "renderer" | "meter" | "mirror"> & {
    store(bucketId: string): VariantsOptions["store"];
  };
  readonly log: Log;
  readonly now: () => number;
  readonly userAgent: string;
}

export interface SiteRegistry {
  /** The snapshot in force. */
  readonly sites: Sites;
  /** That of the REST API, of the same settings. */
  readonly projects: Projects;
  /** Of the keys in force. */
  readonly tokens: VerifiedTokens;
  /** Replaces the snapshot. Requests under way keep the old one; origins that nobody names any more close behind them. */
  apply(settings: Settings): void;
  /** Renders the styles of an image that was just uploaded or copied, behind everybody's back. Never throws. */
  renderAhead(bucketId: string, key: Key): void;
  /** By `<appid>/<bucket>`; undefined for a bucket that the settings no longer name. */
  storedOf(bucketId: string): Stored | undefined;
  /** Every domain in force, `*` last. */
  domains(): readonly Site[];
  /** The origins of the settings in force. */
  originHealth(): readonly OriginHealth[];
  close(): Promise<void>;
}

export function createSiteRegistry(settings: Settings, parts: SiteParts): SiteRegistry {
  const buckets = createReloadCache<BucketParts>();
  const origins = createOriginRegistry({ ...parts, serverId: parts.mirror.serverId, meter: parts.mirror.meter });
  const mirrors = createReloadCache<Mirror>();
  const budgets = createReloadCache<KeyBudget>();
  const ahead = createRenderAhead({ log: parts.log, signal: parts.mirror.signal });
  let keys: KeyLookup = () => undefined;
  const tokens = createVerifiedTokens({ keys: (secretId, appid) => keys(secretId, appid) });
  let sites: Sites;
  let domains: readonly Site[];
  let projects: Projects;

  // Origins of earlier settings, until the requests that still use them are done.
  const retiring = new Set<Origin>();

  function build(next: Settings): { readonly sites: Sites; readonly domains: readonly Site[] } {
    const { hosts, star } = bindDomains(next);
    const { limits } = next;
    const bindings = [...hosts.values(), ...(star === undefined ? [] : [star])];
    // What one domain stores all domains of its bucket read.
    const keeping = new Set(
      bindings.filter(({ mirror }) => mirror !== undefined && keepsQueries(mirror)).map(bucketId),
    );
    const toSite = (domain: string, binding: Binding): Site => {
      const id = bucketId(binding);
      const bucket = buckets.take(id, () => openBucket(id, parts));
      const source =
        binding.mirror &&
        createMirrorSource(binding.mirror, keeping.has(id), (settings) => toMirror(bucket.stored, settings));
      return makeSite(binding, { domain, ...bucket, source, ...authorizers(binding, { tokens, ...parts }) });
    };
    const toMirror = (bucket: Stored, source: MirrorSettings): Mirror => {
      const origin = origins.originOf(source, "client");
      const { bucketId: id } = bucket;
      const { maxKeys } = source;
      const keyBudget = budgets.take(fingerprintOf(id, maxKeys), () =>
        createKeyBudget({ bucket: bucket.bucket, bucketId: id, maxKeys, log: parts.log }),
      );
      return mirrors.take(fingerprintOf(id, limits.objectSize, source), () =>
        createMirror(
          {
            ...mirrorOptions(source, limits),
            stored: bucket,
            origin,
            keyBudget: keepsQuery(source) ? keyBudget : undefined,
          },
          parts.mirror,
        ),
      );
    };
    const byHost = new Map([...hosts].map(([host, binding]) => [host, toSite(host, binding)]));
    const other = star === undefined ? undefined : toSite("*", star);
    const all = [...byHost.values(), ...(other === undefined ? [] : [other])];
    return { sites: { find: (host) => byHost.get(host) ?? other }, domains: all };
  }

  function apply(next: Settings): void {
    let built: ReturnType<typeof build>;
    try {
      built = build(next);
    } catch (error) {
      // Nothing of a refused file is in force.
      buckets.abandon();
      mirrors.abandon();
      budgets.abandon();
      for (const origin of origins.abandon()) void origin.close();
      throw error;
    }
    keys = keyLookup(next);
    tokens.clear();
    ({ sites, domains } = built);
    projects = createProjects(next, domains);
    buckets.keep();
    budgets.keep();
    void retire(origins.keep(), mirrors.keep());
  }

  async function retire(gone: readonly Origin[], users: readonly Mirror[]): Promise<void> {
    for (const origin of gone) retiring.add(origin);
    // A request that has found its domain may not have come to its mirror yet.
    await delay(RETIRE_MS, undefined, { ref: false });
    await Promise.all(users.map((mirror) => mirror.idle()));
    for (const origin of gone) {
      retiring.delete(origin);
      void origin.close();
    }
  }

  apply(settings);
  return {
    get sites() {
      return sites;
    },
    get projects() {
      return projects;
    },
    tokens,
    apply,
    renderAhead(bucketId, key) {
      const site = domains.find(({ stored }) => stored.bucketId === bucketId);
      if (site === undefined) return;
      const { stored, variants, styles } = site;
      const search = { sites, stored, client: undefined, via: undefined, cdnLoop: undefined };
      const findWatermarksOf: AheadTask["findWatermarks"] = (urls, signal) =>
        findWatermarks(urls, { ...search, signal });
      ahead.begin({ stored, variants, key, styles, findWatermarks: findWatermarksOf });
    },
    storedOf: (id) => buckets.get(id)?.stored,
    domains: () => domains,
    originHealth: origins.health,
    async close() {
      await Promise.all([...origins.keep(), ...retiring].map((origin) => origin.close()));
    },
  };
}

const RETIRE_MS = 5_000;

// Each way in has its own smaller bound, which a reload may change; this is the largest that settings allow.
const MAX_STORED_BYTES = 1_073_741_824;

/** A bucket and what is made of its images. */
interface BucketParts {
  readonly stored: Stored;
  readonly variants: Variants;
}

function openBucket(bucketId: string, { store, memoryCache, now, variants: shared, mirror }: SiteParts): BucketParts {
  const variants = createVariants({ ...shared, bucketId, store: shared.store(bucketId), memoryCache });
  const bucket = createBucket({ driver: store.bucket(bucketId), now, maxObjectBytes: MAX_STORED_BYTES });
  const waitForTries = (key: Key) => mirror.writeBack.waitForTries(bucketId, key);
  return {
    variants,
    stored: createStored(bucketId, bucket, memoryCache, { onVersionGone: variants.drop, waitForTries }),
  };
}

function bucketId({ project, bucket }: Binding): string {
  return `${project.appid}/${bucket.name}`;
}

function mirrorOptions(source: MirrorSettings, limits: Settings["limits"]) {
  const { headMiss, negativeTtl, suspects, timeouts, allowedTypes, objectSize = limits.objectSize } = source;
  const { mode, ttl, staleIfError, onGone } = source.freshness;
  const freshness = mode === "never" ? undefined : { mode, ttlMs: ttl, staleIfErrorMs: staleIfError };
  const formats = allowedTypes === undefined ? undefined : new Set<ImageFormat>(allowedTypes);
  const maxObjectBytes = Math.min(objectSize, limits.objectSize);
  // A failing primary sends all its fetches to the next, which must bear them.
  const connections = Math.min(...source.origins.map((origin) => origin.connections));
  const asked = { connections, headMiss, negativeTtlMs: negativeTtl, timeouts, formats, maxObjectBytes };
  return { ...asked, suspects, freshness, onGone };
}

function makeSite(
  { project, bucket }: Binding,
  parts: Pick<Site, "domain" | "stored" | "variants" | "source" | "authorizer" | "originalAuthorizer">,
): Site {
  const { grammarEra: era } = bucket;
  const toNamed = ([name, text]: [string, string]) => [name, nameRecipe(parseInstruction(text, { era }))] as const;
  const styles = Object.entries(bucket.styles).map(toNamed);
  return {
    ...parts,
    isProjectEnabled: project.enabled,
    separators: bucket.separators,
    aliases: new Map([...Object.entries(bucket.aliases).map(toNamed), ...styles]),
    styles: styles.map(([, named]) => named),
    era,
    referers: bucket.referers,
    cacheControl: createCacheControl(bucket.cacheControl),
    cors: bucket.cors,
    notFoundPage: bucket.notFound === undefined ? undefined : readPage(bucket.notFound.file),
  };
}

function authorizers(
  { project, bucket }: Binding,
  { tokens, once, now }: Pick<AuthorizerOptions, "tokens" | "once" | "now">,
): Pick<Site, "authorizer" | "originalAuthorizer"> {
  const { appid, acceptV1Signature: acceptV1 } = project;
  const { name, oneTimeDownloads, signedCacheControl: mode, token, originalProtection } = bucket;
  const authorizer = createAuthorizer({ appid, bucket: name, acceptV1, oneTimeDownloads, mode, tokens, once, now });
  return {
    authorizer: token === "off" ? undefined : authorizer,
    originalAuthorizer: originalProtection ? authorizer : undefined,
  };
}

function keyLookup(settings: Settings): KeyLookup {
  const projects = new Map<string, ReadonlyMap<string, SigningKey>>();
  for (const { appid, keys } of settings.projects) projects.set(appid, new Map(keys.map((key) => [key.secretId, key])));
  return (secretId, appid) => projects.get(appid)?.get(secretId);
}

/** The bucket's own 404 page, in memory: it is sent when the disk may be failing. */
function readPage(file: string): NonNullable<Site["notFoundPage"]> {
  const body = readFileSync(file);
  if (body.byteLength > MAX_PAGE_BYTES) {
    throw new HuiyuanError(
      "settings_invalid",
      `Cannot use "${file}" as notFound page: ${body.byteLength} bytes, the limit is ${MAX_PAGE_BYTES}`,
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

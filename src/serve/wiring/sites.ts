// Part of the composition root: turns settings into the snapshot of served domains. A reload keeps unchanged buckets
// with their memory cache, origins with their connections, and mirrors with their running fills.
import { createPauses } from "../../async/pauses.ts";
import { createReloadCache } from "../../async/reload-cache.ts";
import type { Semaphore } from "../../async/semaphore.ts";
import type { ImageFormat, Key } from "../../core/object.ts";
import { type Binding, bindDomains } from "../../settings/domains.ts";
import type { MirrorSettings, OriginSettings, Settings } from "../../settings/schema/schema.ts";
import { fingerprintOf } from "../../settings/secrets.ts";
import { createBucket } from "../bucket/contract/bucket.ts";
import type { Store } from "../bucket/contract/driver.ts";
import type { VariantBucket } from "../bucket/tier/disk/variants.ts";
import { findWatermarks } from "../http/download/watermarks.ts";
import { type ClientLimitOptions, type ClientLimits, createClientLimits } from "../http/request/client-limits.ts";
import type { BucketSites, MirrorSource, Site, Sites } from "../http/request/site.ts";
import type { Project, Projects } from "../http/rest/project.ts";
import { createKeyBudget, type KeyBudget } from "../mirror/key-budget.ts";
import { createMirror, type Mirror } from "../mirror/mirror.ts";
import type { MirrorOptions, MirrorParts } from "../mirror/mirror-context.ts";
import { keepsQuery } from "../mirror/rules.ts";
import type { MemoryCache } from "../mirror/stored/memory-cache.ts";
import { createStored, type Stored } from "../mirror/stored/stored.ts";
import { type AheadTask, createRenderAhead } from "../mirror/variants/render-ahead.ts";
import type { VariantParts } from "../mirror/variants/running-renders.ts";
import { createVariants } from "../mirror/variants/variants.ts";
import type { Budget } from "../origin/guard/budget.ts";
import type { OriginReport } from "../origin/guard/guarded.ts";
import type { OnceLedger } from "../sign/once.ts";
import type { KeyLookup } from "../sign/token.ts";
import { createVerifiedTokens, type VerifiedTokens } from "../sign/verified.ts";
import { createOriginRegistry } from "./origins.ts";
import { keyLookup, toProject } from "./projects.ts";
import {
  createMirrorSource,
  createSite,
  keepsQueries,
  makeOwnRule,
  type OpenBucket,
  type TokenChecks,
} from "./site.ts";

/** The parts of every snapshot; a reload does not change them. */
export interface SiteParts {
  readonly store: Store;
  /** The fetches of the program. */
  readonly fetches: Semaphore;
  readonly once: OnceLedger;
  readonly memoryCache: MemoryCache;
  /** Resolves once the other nodes know the changes that were made; undefined if there are none. */
  readonly confirmed: (() => Promise<unknown>) | undefined;
  readonly mirror: MirrorParts;
  readonly variants: VariantParts;
  readonly variantStore: (bucketId: string) => VariantBucket;
  readonly limited: ClientLimitOptions["limited"];
}

/** The settings in force, ready for use. */
interface Snapshot {
  readonly sites: Sites;
  readonly projects: Projects;
  readonly buckets: BucketSites;
  readonly bindings: readonly Binding[];
}

export interface SiteRegistry {
  /** The snapshot in force. */
  readonly sites: Sites;
  /** The projects of the REST API, of the same settings. */
  readonly projects: Projects;
  /** Verified tokens of the keys in force. */
  readonly tokens: VerifiedTokens;
  /**
   * Replaces the snapshot once the new one is whole. Running requests keep the old one. Throws settings_invalid, and
   * replaces nothing then. Await it before the next call.
   */
  apply(settings: Settings): Promise<void>;
  /** Renders the styles of an image that was just uploaded or copied, in the background. Never throws. */
  renderAhead(bucketId: string, key: Key): void;
  /** The bucket `<appid>/<bucket>`; undefined if the settings no longer name it. */
  storedOf(bucketId: string): Stored | undefined;
  /** The buckets in force, in the order of the settings. */
  buckets(): BucketSites;
  /** The origins of the settings in force, also those that were never requested. */
  originReport(): Iterable<OriginReport>;
  /** `id`: as in OriginRegistry. `domain`: its host, or `*`. */
  originBudget(id: string, domain: string): Budget | undefined;
  /** The bounds on keys with a query. */
  keyBudgets(): readonly KeyBudget[];
  /** Resolves when no fetch runs or waits. */
  idle(): Promise<void>;
  close(): Promise<void>;
}

/** Throws settings_invalid. */
export async function createSiteRegistry(settings: Settings, parts: SiteParts): Promise<SiteRegistry> {
  const { log, now, meter, serverId, signal } = parts.mirror;
  const buckets = createReloadCache<OpenBucket>();
  const origins = createOriginRegistry({ log, meter, serverId, fetches: parts.fetches });
  const mirrors = createReloadCache<Mirror>();
  const budgets = createReloadCache<KeyBudget>();
  const clientLimits = createReloadCache<ClientLimits | undefined>();
  const ahead = createRenderAhead({ log, signal });
  let keys: KeyLookup = () => undefined;
  const tokens = createVerifiedTokens({ keys: (secretId, appid) => keys(secretId, appid) });
  const checks: TokenChecks = { tokens, once: parts.once, now };
  let inForce: Snapshot;

  // Domains whose mirrors have been made. A reload makes these at once, so that they keep their state.
  const used = new Set<string>();
  // Mirrors of earlier settings whose fetches have not ended.
  const retiring = new Set<Mirror>();

  async function build(next: Settings): Promise<Snapshot> {
    const pause = createPauses();
    const ownRule = makeOwnRule();
    const { hosts, star } = bindDomains(next);
    const { limits } = next;
    const bindings = [...hosts.values(), ...(star === undefined ? [] : [star])];
    // All domains of a bucket read the same objects, so one domain decides for all.
    const keeping = new Set(
      bindings.filter(({ mirror }) => mirror !== undefined && keepsQueries(mirror)).map(bucketId),
    );
    const toSite = (domain: string, binding: Binding): Site => {
      const id = bucketId(binding);
      const bucket = buckets.take(id, () => openBucket(id, parts));
      const source = binding.mirror && toSource(domain, binding.mirror, bucket.stored);
      return createSite(domain, binding, bucket, source, checks);
    };
    const toSource = (domain: string, mirror: MirrorSettings, stored: Stored): MirrorSource => {
      const keysHaveQueries = keeping.has(stored.bucketId);
      // Keys with a query are counted before the first request, for the alert.
      const isUsed = used.has(domain) || keysHaveQueries;
      return createMirrorSource(mirror, { keysHaveQueries, ownRule, isUsed }, (settings) => {
        used.add(domain);
        return toMirror(stored, settings);
      });
    };
    const toMirror = (bucket: Stored, source: MirrorSettings): Mirror => {
      const origin = origins.originOf(source);
      const { bucketId: id } = bucket;
      const { maxKeys } = source;
      const makeBudget = () => createKeyBudget({ bucket: bucket.bucket, bucketId: id, maxKeys, log });
      const keyBudget = keepsQuery(source) ? budgets.take(fingerprintOf(id, maxKeys), makeBudget) : undefined;
      return mirrors.take(fingerprintOf(id, limits.objectSize, source), () =>
        createMirror(mirrorOptions(source, limits, { stored: bucket, origin, keyBudget }), parts.mirror),
      );
    };
    const byHost = new Map<string, Site>();
    const byBucket = new Map<string, [Site, ...Site[]]>();
    const add = (domain: string, binding: Binding): Site => {
      const site = toSite(domain, binding);
      const known = byBucket.get(site.stored.bucketId);
      if (known === undefined) byBucket.set(site.stored.bucketId, [site]);
      else known.push(site);
      return site;
    };
    for (const [host, binding] of hosts) {
      byHost.set(host, add(host, binding));
      await pause();
    }
    const other = star === undefined ? undefined : add("*", star);
    const { trustedProxies } = next.server;
    // Unchanged limits keep their counts.
    const clients = clientLimits.take(fingerprintOf(limits.perClient, trustedProxies), () =>
      createClientLimits({ ...limits.perClient, trustedProxies, limited: parts.limited }),
    );
    const projects = new Map<string, Project>();
    for (const project of next.projects) {
      projects.set(project.appid, toProject(project, next.server, byBucket));
      await pause();
    }
    return {
      sites: { find: (host) => byHost.get(host) ?? other, clients },
      projects: { find: (appid) => projects.get(appid), isDomain: (host) => byHost.has(host) },
      buckets: byBucket,
      bindings,
    };
  }

  async function apply(next: Settings): Promise<void> {
    // A refused file throws here and replaces nothing. Its unused parts are dropped by a later reload.
    inForce = await build(next);
    keys = keyLookup(next);
    for (const domain of used) if (domain !== "*" && !inForce.projects.isDomain(domain)) used.delete(domain);
    buckets.keep();
    budgets.keep();
    clientLimits.keep();
    // Unused origins need no close: their idle connections end by themselves.
    origins.keep();
    for (const mirror of mirrors.keep()) {
      retiring.add(mirror);
      void mirror.idle().then(() => retiring.delete(mirror));
    }
  }

  await apply(settings);
  return {
    get sites() {
      return inForce.sites;
    },
    get projects() {
      return inForce.projects;
    },
    tokens,
    apply,
    renderAhead(bucketId, key) {
      const { sites, buckets } = inForce;
      const [site] = buckets.get(bucketId) ?? [];
      if (site === undefined) return;
      const { stored, variants, styles } = site;
      const findWatermarksOf: AheadTask["findWatermarks"] = (urls, signal) =>
        findWatermarks(urls, {
          exchange: { request: { headers: {} }, client: signal },
          ...{ sites, site, client: undefined },
        });
      ahead.begin({ stored, variants, key, styles, findWatermarks: findWatermarksOf });
    },
    storedOf: (id) => buckets.get(id)?.stored,
    buckets: () => inForce.buckets,
    originReport: () => origins.report(originsOf(inForce.bindings)),
    originBudget(id, domain) {
      if (origins.budget(id) === undefined) inForce.sites.find(domain)?.source?.open();
      return origins.budget(id);
    },
    keyBudgets: budgets.values,
    async idle() {
      await Promise.all([...mirrors.values(), ...retiring].map((mirror) => mirror.idle()));
    },
    close: origins.close,
  };
}

// The largest objectSize that settings allow. Uploads and fetches have smaller limits, which a reload may change.
const MAX_STORED_BYTES = 1_073_741_824;

function openBucket(bucketId: string, parts: SiteParts): OpenBucket {
  const { store, memoryCache, mirror } = parts;
  const variants = createVariants(bucketId, parts.variantStore(bucketId), memoryCache, parts.variants);
  const bucket = createBucket({ driver: store.bucket(bucketId), now: mirror.now, maxObjectBytes: MAX_STORED_BYTES });
  return {
    variants,
    stored: createStored(bucketId, bucket, memoryCache, { onVersionGone: variants.drop, confirmed: parts.confirmed }),
  };
}

function* originsOf(bindings: readonly Binding[]): Generator<OriginSettings, void, undefined> {
  for (const { mirror } of bindings) {
    if (mirror === undefined) continue;
    yield* mirror.origins;
    for (const rule of mirror.rules) yield* rule.origins ?? [];
  }
}

function bucketId({ project, bucket }: Binding): string {
  return `${project.appid}/${bucket.name}`;
}

function mirrorOptions(
  source: MirrorSettings,
  limits: Settings["limits"],
  { stored, origin, keyBudget }: Pick<MirrorOptions, "stored" | "origin" | "keyBudget">,
): MirrorOptions {
  const { headMiss, negativeTtl, suspects, timeouts, allowedTypes, objectSize = limits.objectSize } = source;
  const { mode, ttl, staleIfError, onGone } = source.freshness;
  return {
    stored,
    origin,
    keyBudget,
    // A failing primary sends all its fetches to the next origin, which must bear them.
    connections: Math.min(...source.origins.map((each) => each.connections)),
    headMiss,
    negativeTtlMs: negativeTtl,
    suspects,
    timeouts,
    formats: allowedTypes === undefined ? undefined : new Set<ImageFormat>(allowedTypes),
    maxObjectBytes: Math.min(objectSize, limits.objectSize),
    freshness: mode === "never" ? undefined : { mode, ttlMs: ttl, staleIfErrorMs: staleIfError },
    onGone,
  };
}

// Wires a whole mirror except its sockets: the stores, the memory cache, the sites, the callbacks and the REST API.
// Over 300 lines, because it wires all of them in the order in which they open.
import { randomBytes } from "node:crypto";
import { setMaxListeners } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { LRUCache } from "lru-cache";
import { createSemaphore } from "../../async/semaphore.ts";
import { HuiyuanError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import type { Settings } from "../../settings/schema/schema.ts";
import type { DiskSpace } from "../bucket/fs/free-space.ts";
import type { Cluster } from "../cluster/cluster.ts";
import type { ClientLimit } from "../http/request/client-limits.ts";
import type { RestApiParts } from "../http/rest/call.ts";
import { createRenderer, type RendererOptions } from "../image/renderer.ts";
import { createFailureLog } from "../mirror/failure-log.ts";
import type { KeyBudget } from "../mirror/key-budget.ts";
import type { MirrorMeter } from "../mirror/meter.ts";
import { createMemoryCache } from "../mirror/stored/memory-cache.ts";
import { adoptSpoolFiles } from "../mirror/storing/adopt.ts";
import { createWriteBack } from "../mirror/storing/write-back.ts";
import type { VariantMeter } from "../mirror/variants/running-renders.ts";
import type { OriginReport } from "../origin/guard/guarded.ts";
import type { CallbackMeter } from "../upload/callback/notices.ts";
import type { OutboxState } from "../upload/callback/outbox.ts";
import { createKnownMd5 } from "../upload/known-md5.ts";
import { createSliceFolder } from "../upload/slices/slice-folder.ts";
import { openSlices, type Slices } from "../upload/slices/slices.ts";
import { createVerifyDecodable } from "../upload/upload-store.ts";
import { type Callbacks, createCallbacks } from "./callbacks.ts";
import { joinCluster } from "./cluster.ts";
import { createSiteRegistry, type SiteRegistry } from "./sites.ts";
import { openStores } from "./stores.ts";

/** Told what happens. operate/admin/metrics.ts counts it. */
export interface ServiceMeters {
  readonly mirror: MirrorMeter;
  readonly variants: VariantMeter;
  readonly callbacks: CallbackMeter;
  /** A request was refused because of `limits.perClient`. */
  limited(limit: ClientLimit): void;
  /** Downloads since the start. */
  requests(): number;
}

/** Values that are read only when they are needed. */
export interface ServiceGauges {
  readonly memory: () => { readonly objects: number; readonly bytes: number };
  readonly spool: () => { readonly spools: number; readonly bytes: number };
  /** Whether this node knows the changes of the others. Undefined: there are no others. */
  readonly isAttached: () => boolean | undefined;
  readonly storing: () => { readonly depth: number; readonly oldestMs: number };
  /** Undefined if it cannot be read. */
  readonly damaged: () => number | undefined;
  readonly fills: () => number;
  readonly uploads: () => number;
  readonly sliceUploads: () => number;
  readonly origins: () => Iterable<OriginReport>;
  readonly keyBudgets: () => readonly KeyBudget[];
  /** Undefined if it cannot be read. */
  readonly outboxCounts: () => Promise<readonly { readonly state: OutboxState; readonly count: number }[] | undefined>;
  readonly renders: () => { readonly running: number; readonly waiting: number };
  /** Space on the data folder's file system. Undefined if it cannot be read. */
  readonly disk: () => Promise<DiskSpace | undefined>;
}

export interface Service {
  readonly registry: SiteRegistry;
  /** The parts of the REST API. */
  readonly restApi: Omit<RestApiParts, "place">;
  readonly callbacks: Callbacks;
  readonly gauges: ServiceGauges;
  /** The nodes on the same S3 store; undefined if this server is alone. */
  readonly cluster: Pick<Cluster, "nodes" | "confirmed"> | undefined;
  /** Writes to the store; throws store_full or store_failed. */
  probe(): Promise<void>;
  /** Warnings about the store, for the operator. */
  notes(): readonly string[];
  /** The remote store, if it does not answer. */
  outages(): readonly string[];
  /** Applies new settings to work that begins from now on. Throws settings_invalid, and keeps the old settings then. */
  apply(settings: Settings): Promise<void>;
  /** Waits `fillMs` for running fills, then aborts them. Pending writes get until `storeMs`; both count from now. */
  drain(deadlines: { readonly fillMs: number; readonly storeMs: number }): Promise<void>;
  close(): Promise<void>;
}

/** Concurrent uploads. Each uses at most 256 KiB of memory; the rest is in a file. */
const UPLOADS = 256;
/** A client beyond a rate has one log line in this time. */
const LOGGED_CLIENT_MS = 60_000;
const LOGGED_CLIENTS = 1_000;
/** 20 MB at 35 KB/s. */
export const UPLOAD_PATIENCE = { idleMs: 30_000, totalMs: 600_000 };

/** Throws data_locked, store_failed, settings_invalid, and leaves nothing open then. */
export async function openService({
  settings,
  meters,
  log,
}: {
  readonly settings: Settings;
  readonly meters: ServiceMeters;
  readonly log: Log;
}): Promise<Service> {
  const now = Date.now;
  const stopping = new AbortController();
  // Every fill adds a listener. Node 20 reports more than ten listeners as a leak on stderr.
  setMaxListeners(0, stopping.signal);
  let inForce = settings;
  const cluster = joinCluster(() => inForce, meters.requests, log);
  const { coordination } = cluster ?? {};
  const memoryCache = createMemoryCache(memoryCacheBounds(settings), undefined, coordination?.isAttached);
  const { drop: changed, wasUsed } = memoryCache;
  const stores = await openStores(settings, { log, now, changed, wasUsed, coordination });
  const { store, spools } = stores;
  const fetches = createSemaphore(settings.limits.fills);
  const writeBack = createWriteBack({
    now,
    log,
    meter: meters.mirror,
    room: spools.room,
    batchMs: GATHER_MS,
    quietMs: QUIET_MS,
  });
  const renderer = createRenderer(renderLimits(settings));
  const renders = createSemaphore(MAX_RENDERS);
  // A variant that could not be stored is not retried: the next request renders it again.
  const variantWriteBack = createWriteBack({
    now,
    log,
    meter: meters.variants,
    retryMs: [],
    maxQueued: MAX_VARIANTS_QUEUED,
    batchMs: VARIANTS_GATHER_MS,
  });
  const limited = createFailureLog(log, {}, "clients beyond limits.perClient");
  // One client must not use up the lines that would name the others.
  const loggedClients = new LRUCache<string, true>({ max: LOGGED_CLIENTS, ttl: LOGGED_CLIENT_MS });
  let registry: SiteRegistry | undefined;
  const callbacks = createCallbacks(settings, { registry: () => registry, meter: meters.callbacks, now, log });
  let slices: Slices | undefined;

  async function close(): Promise<void> {
    await callbacks.close();
    slices?.close();
    await registry?.close();
    await cluster?.close();
    await renderer.close();
    await stores.close();
  }

  try {
    const serverId = await readServerId(settings.data);
    const { signal } = stopping;
    const sites = await createSiteRegistry(settings, {
      store,
      fetches,
      once: stores.once,
      memoryCache,
      confirmed: cluster?.confirmed,
      mirror: { spools, writeBack, meter: meters.mirror, log, now, serverId, leases: cluster?.leases, signal },
      variants: {
        renderer,
        meter: meters.variants,
        writeBack: variantWriteBack,
        room: createSemaphore(VARIANT_ROOM_BYTES),
        renders,
        log,
        now,
        signal,
      },
      variantStore: stores.variants,
      limited(limit, client) {
        meters.limited(limit);
        const name = `${limit} ${client}`;
        if (loggedClients.has(name)) return;
        loggedClients.set(name, true);
        limited.warn(limit, { client, limit }, "a client exceeds its rate (limits.perClient)");
      },
    });
    registry = sites;
    callbacks.apply(settings);
    const { adopted, removed } = await adoptSpoolFiles({ dir: stores.spoolDir, storedOf: sites.storedOf, writeBack });
    const recovered = "recovered whole images that the last run had not stored, and removed unfinished files";
    if (adopted + removed > 0) log.info({ adopted, removed }, recovered);
    cluster?.start({
      follow(bucketId, key) {
        memoryCache.drop(bucketId, key);
        stores.follow(bucketId, key);
      },
      followAll() {
        memoryCache.dropAll();
        stores.followAll();
      },
      isStoreDown: stores.isRemoteDown,
    });
    const folder = createSliceFolder(join(settings.data, "slices"));
    slices = await openSlices({ folder, freeSpace: stores.freeSpace, log, now });
    let { objectSize } = settings.limits;
    const restApi: Service["restApi"] = {
      projects: () => sites.projects,
      clients: () => sites.sites.clients,
      tokens: sites.tokens,
      once: stores.once,
      spools,
      md5: createKnownMd5(),
      stored: ({ stored }, key) => sites.renderAhead(stored.bucketId, key),
      slices,
      verify: createVerifyDecodable(renderer),
      makeOutboxDraft: callbacks.notices.makeOutboxDraft,
      uploads: createSemaphore(UPLOADS),
      maxImageBytes: () => objectSize,
      patience: UPLOAD_PATIENCE,
      now,
    };
    return {
      registry: sites,
      restApi,
      callbacks,
      gauges: {
        disk: stores.freeSpace.read,
        memory: memoryCache.usage,
        spool: () => spools.usage,
        isAttached: () => coordination?.isAttached(),
        storing: () => {
          const [here, remote] = [writeBack.backlog(), stores.backlog()];
          return { depth: here.depth + remote.depth, oldestMs: Math.max(here.oldestMs, remote.oldestMs) };
        },
        damaged: stores.damaged,
        fills: () => fetches.running,
        uploads: () => restApi.uploads.running,
        sliceUploads: () => restApi.slices.running,
        origins: sites.originReport,
        keyBudgets: sites.keyBudgets,
        // A failing ledger is logged by the code that writes to it.
        outboxCounts: () => callbacks.outbox.counts().catch(() => undefined),
        renders: () => ({ running: renderer.running, waiting: renderer.waiting }),
      },
      probe: store.probe,
      cluster,
      notes: () => [...(cluster?.notes() ?? []), ...stores.notes()],
      outages: stores.outages,
      async apply(next) {
        await sites.apply(next);
        inForce = next;
        callbacks.apply(next);
        memoryCache.resize(memoryCacheBounds(next));
        fetches.resize(next.limits.fills);
        objectSize = next.limits.objectSize;
        renderer.resize(renderLimits(next));
        stores.resize(next.limits);
      },
      async drain({ fillMs, storeMs }) {
        const began = performance.now();
        await Promise.race([
          Promise.all([sites.idle(), renders.empty()]),
          delay(Math.max(0, fillMs), undefined, { ref: false }),
        ]);
        stopping.abort(new HuiyuanError("draining", "Cannot continue the fetch: the server is stopping"));
        const left = Math.max(0, began + storeMs - performance.now());
        await Promise.all([writeBack.drain(left), variantWriteBack.drain(left)]);
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Effectively no limit, because the renderer's own queue is shorter. */
const MAX_RENDERS = 100_000;
const MAX_VARIANTS_QUEUED = 256;
/** Results of renders whose writes are pending, together. */
const VARIANT_ROOM_BYTES = 67_108_864;
/**
 * Pending writes wait to share one commit. A crash may lose them: images are fetched again, variants rendered again.
 */
const GATHER_MS = 100;
const QUIET_MS = 5;
const VARIANTS_GATHER_MS = 200;

function renderLimits({ limits }: Settings): RendererOptions {
  const { renders, renderTime: renderMs, imagePixels: pixels, imageFrames: frames } = limits;
  return { renders: renders === "auto" ? availableParallelism() : renders, renderMs, pixels, frames };
}

function memoryCacheBounds({ limits }: Settings) {
  return { maxBytes: limits.memory, maxObjectBytes: limits.hotObjectSize };
}

/** Names this installation in Via and CDN-Loop. Stored with the data, so that a restart does not change it. */
async function readServerId(dir: string): Promise<string> {
  const path = join(dir, "server-id");
  const known = await readFile(path, "utf8").catch(() => ""); // Absent before the first start.
  if (/^[0-9a-f]{12}$/.test(known)) return known;
  const fresh = randomBytes(6).toString("hex");
  await writeFile(path, fresh, { mode: 0o600 });
  return fresh;
}

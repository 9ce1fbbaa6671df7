// The composition root: Settings → a wired, running server { reload, stop }. It decides nothing by itself.
import { randomBytes } from "node:crypto";
import { setMaxListeners } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { HuiyuanError } from "./errors.ts";
import { createAccessLog } from "./http/access-log.ts";
import { createAdmin } from "./http/admin.ts";
import { createDownloads } from "./http/download.ts";
import { createMetrics } from "./http/metrics.ts";
import { createReadiness } from "./http/readiness.ts";
import { createRequestIds } from "./http/request-id.ts";
import { nodeResponse } from "./http/response.ts";
import { startServer } from "./http/server.ts";
import type { Log } from "./log.ts";
import { adoptSpoolFiles } from "./mirror/adopt.ts";
import { createHot } from "./mirror/hot.ts";
import { createSlots } from "./mirror/slots.ts";
import { createWriteBack } from "./mirror/write-back.ts";
import { isLoopbackHost } from "./settings/hosts.ts";
import { settingsNeedingRestart } from "./settings/restart.ts";
import type { Settings } from "./settings/schema.ts";
import { createSiteRegistry } from "./sites.ts";
import { openStores } from "./stores.ts";
import { readVersion } from "./version.ts";

export interface AppOptions {
  readonly settings: Settings;
  readonly log: Log;
  /** Unix milliseconds. */
  readonly now?: () => number;
}

/** A running server. */
export interface App {
  readonly downloadPort: number;
  readonly adminPort: number;
  /** Puts new settings in force for requests that begin from now on; what needs a restart is kept and noted. */
  reload(settings: Settings): void;
  /** Shown on /readyz until the next good file; undefined clears it. */
  noteFault(text: string | undefined): void;
  /** Clients get 5 s, everything 10 s; then the store is closed. */
  stop(): Promise<void>;
}

const CLIENT_GRACE_MS = 5_000;
// Each from the beginning of the stop.
const FILL_GRACE_MS = 7_500;
const STORE_GRACE_MS = 8_500;
const DRAIN_MS = 9_500;
const LOOPBACK_NAMES: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "::1"]);

/** Opens the store, wires the rooms and listens. Throws data_locked, store_failed, settings_invalid; leaves nothing open then. */
export async function startApp({ settings: initial, log, now = Date.now }: AppOptions): Promise<App> {
  let settings = initial;
  let fault: string | undefined;
  let restartNote: string | undefined;
  let isDraining = false;
  const version = readVersion();
  const stopping = new AbortController();
  // Every fill listens; Node 20 takes more than ten for a leak and says so on stderr.
  setMaxListeners(0, stopping.signal);
  const undo: (() => Promise<void> | void)[] = [];

  try {
    const hot = createHot(hotBounds(settings));
    const stores = await openStores(settings, { log, now, changed: hot.drop });
    undo.push(() => stores.close());
    const { store, spools } = stores;
    const metrics = createMetrics();
    undo.push(() => metrics.stop());
    const slots = createSlots(settings.limits.fills);
    const writeBack = createWriteBack({ now, log, meter: metrics.mirror });
    const serverId = await readServerId(settings.data);
    const registry = createSiteRegistry(settings, {
      store,
      once: stores.once,
      hot,
      mirror: { spools, writeBack, slots, meter: metrics.mirror, log, now, serverId, signal: stopping.signal },
      log,
      now,
      userAgent: `Huiyuan/${version}`,
    });
    undo.push(() => registry.close());
    const { adopting, removed } = await adoptSpoolFiles({ dir: stores.spoolDir, storedOf: registry.storedOf, log });
    void adopting.then((adopted) => {
      if (adopted + removed > 0) log.info({ adopted, removed }, "took over what the last run left behind");
    });

    const nextRequestId = createRequestIds();
    const accessLog = createAccessLog(log);
    const download = createDownloads({
      sites: () => registry.sites,
      nextRequestId,
      log,
      answered(exchange) {
        metrics.answered(exchange);
        accessLog(exchange, settings.server);
      },
    });
    const downloads = await startServer({
      host: settings.server.host,
      port: settings.server.port,
      nextRequestId,
      refused: metrics.refused,
      idleMs: idleMs(settings),
      listener: (request, response) => download(request, nodeResponse(response)),
      // The REST API's paths are for node's server, which reads bodies.
      lane: { listener: download, takes: (url) => !url.startsWith("/photos/") },
    });
    undo.push(() => downloads.stop(0));

    const readiness = createReadiness({
      probe: store.probe,
      isDraining: () => isDraining,
      notes: () => [fault, restartNote, ...stores.notes()].filter((note) => note !== undefined),
      now,
    });
    const admin = await startServer({
      host: settings.server.adminHost,
      port: settings.server.adminPort,
      nextRequestId,
      listener: createAdmin({
        token: () => settings.server.adminToken,
        allowedHosts: isLoopbackHost(settings.server.adminHost) ? LOOPBACK_NAMES : undefined,
        readiness,
        metrics: () =>
          metrics.scrape({
            memory: hot.usage,
            spool: () => spools.usage,
            storing: () => together(writeBack.backlog(), stores.backlog()),
            fills: () => slots.taken,
            origins: registry.originHealth,
          }),
        version,
        log,
      }),
    });

    return {
      downloadPort: downloads.port,
      adminPort: admin.port,
      reload(next) {
        registry.apply(next);
        const kept = settingsNeedingRestart(initial, next);
        restartNote = kept.length === 0 ? undefined : `needs a restart to take effect: ${kept.join(", ")}`;
        settings = next;
        fault = undefined;
        hot.resize(hotBounds(next));
        slots.resize(next.limits.fills);
        stores.resize(next.limits);
        downloads.setIdle(idleMs(next));
        log.info({ restartNeededFor: kept }, "new settings are in force");
      },
      noteFault(text) {
        fault = text;
      },
      async stop() {
        isDraining = true;
        const began = now();
        const until = (ms: number) => delay(Math.max(0, began + ms - now()), undefined, { ref: false });
        await downloads.stop(CLIENT_GRACE_MS);
        await Promise.race([slots.empty(), until(FILL_GRACE_MS)]);
        stopping.abort(new HuiyuanError("draining", "Cannot go on fetching: the server is stopping"));
        await writeBack.drain(Math.max(0, began + STORE_GRACE_MS - now()));
        const closing = admin.stop(0).then(() => closeAll(undo));
        const isLate = await Promise.race([closing.then(() => false), until(DRAIN_MS).then(() => true)]);
        if (isLate) log.warn({}, "stopped before everything was closed; the next start takes over what is left");
      },
    };
  } catch (error) {
    await closeAll(undo);
    throw error;
  }
}

/** In the reverse of the order in which the parts were opened. */
async function closeAll(undo: readonly (() => Promise<void> | void)[]): Promise<void> {
  for (const close of [...undo].reverse()) await close();
}

interface Backlog {
  readonly depth: number;
  readonly oldestMs: number;
}

function together(one: Backlog, other: Backlog): Backlog {
  return { depth: one.depth + other.depth, oldestMs: Math.max(one.oldestMs, other.oldestMs) };
}

const MIN_IDLE_MS = 60_000;

/** A client that waits for an origin hears nothing for as long as the settings let the origin take. */
function idleMs({ projects }: Settings): number {
  const domains = projects.flatMap(({ buckets }) => buckets.flatMap((bucket) => bucket.domains));
  const sources = domains.flatMap(({ mirror }) => (mirror === undefined ? [] : [mirror, ...mirror.rules]));
  return Math.max(MIN_IDLE_MS, ...sources.map(({ timeouts }) => (timeouts?.total ?? 0) + 10_000));
}

function hotBounds({ limits }: Settings) {
  return { maxBytes: limits.memory, maxObjectBytes: limits.hotObjectSize };
}

/** Names this installation in Via and CDN-Loop. Kept with the data, so that it is the same after a restart. */
async function readServerId(dir: string): Promise<string> {
  const path = join(dir, "server-id");
  const known = await readFile(path, "utf8").catch(() => ""); // Not there before the first start.
  if (/^[0-9a-f]{12}$/.test(known)) return known;
  const fresh = randomBytes(6).toString("hex");
  await writeFile(path, fresh, { mode: 0o600 });
  return fresh;
}

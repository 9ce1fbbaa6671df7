// The composition root: turns Settings into a running server { reload, stop }. It opens the two ports and stops all
// parts in order. The services behind the ports are wired in serve/wiring/service.ts.
import { resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { HuiyuanError } from "./core/errors.ts";
import type { Log } from "./core/log.ts";
import { readVersion } from "./core/version.ts";
import { createAdminApp } from "./operate/admin/app.ts";
import { openConsole } from "./operate/admin/console.ts";
import { createReadiness } from "./operate/admin/readiness.ts";
import { recordCall, recordDownload } from "./operate/answered-requests.ts";
import { createApi } from "./operate/api.ts";
import { openOperatedService } from "./operate/operated-service.ts";
import { createConsoleParts } from "./operate/server-parts.ts";
import { addTrialRoutes } from "./operate/trial/routes.ts";
import type { Trial } from "./operate/trial/run/trial.ts";
import { createDownloadApp } from "./serve/http/app.ts";
import { createRequestIds, type DownloadExchange } from "./serve/http/request/exchange.ts";
import { logCall, logDownload } from "./serve/http/request-log.ts";
import { createFastPath } from "./serve/http/wire/fast-path/fast-path.ts";
import { startServer } from "./serve/http/wire/server.ts";
import { UPLOAD_PATIENCE } from "./serve/wiring/service.ts";
import type { SettingsReader } from "./settings/edit/text-jobs.ts";
import { isLoopbackHost } from "./settings/hosts.ts";
import { settingsNeedingRestart, settingsWarnings } from "./settings/load.ts";
import type { Settings } from "./settings/schema/schema.ts";

export interface AppOptions {
  readonly settings: Settings;
  /** Undefined: the server runs no migrations, because they read it, and no call edits it. */
  readonly settingsFile?: { readonly reader: SettingsReader; readonly version: string };
  /** Behind the page of `huiyuan try`. */
  readonly trial?: Trial;
  readonly log: Log;
}

/** A running server. */
export interface App {
  readonly downloadPort: number;
  readonly adminPort: number;
  /**
   * Applies new settings, of a version of the settings file, to requests that begin from now on. Settings that need a
   * restart keep their old value and are noted. Await it before the next call.
   */
  reload(settings: Settings, version: string): Promise<void>;
  /** Records that changed settings were refused: in the metrics, and by a note on /readyz until a reload succeeds. */
  refuse(text: string): void;
  /**
   * Waits for `server.drainDelay`. Meanwhile requests are served, on new connections too, and the health path and
   * /readyz say 503. `hurry` ends the delay. Call stop() afterwards.
   */
  drain(hurry: AbortSignal): Promise<void>;
  /**
   * Stops the server: clients get 5 s, the whole stop takes 10 s at most. Yields false if a part did not end in time:
   * node would then wait for its threads at exit.
   */
  stop(): Promise<boolean>;
}

const CLIENT_GRACE_MS = 5_000;
// Deadlines from the beginning of the stop. Milliseconds.
const FILL_GRACE_MS = 7_500;
const STORE_GRACE_MS = 8_500;
const DRAIN_MS = 9_500;
const REQUEST_EXTRA_MS = 60_000;
const LOOPBACK_NAMES = ["localhost", "127.0.0.1", "::1"];

/**
 * Opens the store, wires all parts and listens. Throws data_locked, store_failed, settings_invalid, and then leaves
 * nothing open.
 */
export async function startApp({ settings: initial, settingsFile, trial, log }: AppOptions): Promise<App> {
  let settings = initial;
  let version = settingsFile?.version ?? "";
  let fault: string | undefined;
  let restartNote: string | undefined;
  let isDraining = false;
  const stopping = new AbortController();
  const undo: (() => Promise<void> | void)[] = [];

  try {
    const operated = await openOperatedService(settings, log);
    undo.push(operated.close);
    const { service, metrics } = operated;
    const { registry, callbacks } = service;
    const nextRequestId = createRequestIds();
    const answered = (exchange: DownloadExchange) => {
      metrics.answered(exchange);
      recordDownload(exchange, operated);
      logDownload(exchange, settings.server, log);
    };
    const readiness = createReadiness({
      probe: service.probe,
      isDraining: () => isDraining,
      notes: () => [fault, restartNote, ...service.notes()].filter((note) => note !== undefined),
    });
    let downloadPort = settings.server.port;
    // Public URLs have the bound port, because another port in reloaded settings waits for a restart.
    const place = () => {
      const { publicScheme, publicPort, trustedProxies } = settings.server;
      return { publicScheme, publicPort, trustedProxies, port: downloadPort };
    };
    const healthPath = () => settings.server.healthPath;
    const downloadApp = createDownloadApp({
      ...{ registry, healthPath, readiness, nextRequestId, log, answered },
      hit: metrics.fastPathHit,
      restApi: { ...service.restApi, place },
      called(call) {
        metrics.called(call);
        recordCall(call, place(), operated, Date.now());
        logCall(call, settings.server, log);
      },
    });
    const inFile = (name: string) =>
      settingsFile === undefined ? name : `${name} in ${resolve(settingsFile.reader.place.file)}`;
    const usesFastPath = isFastPathOn(process.env.HUIYUAN_FAST_PATH);
    if (!usesFastPath) log.info({}, "the fast path is off (HUIYUAN_FAST_PATH)");
    const downloads = await startServer({
      host: settings.server.host,
      port: settings.server.port,
      setting: inFile("server.port"),
      nextRequestId,
      refused: metrics.refused,
      idleMs: idleMs(settings),
      listener: downloadApp.listener,
      continues: true,
      // Uploads have a shorter time limit of their own, with an error response.
      requestMs: UPLOAD_PATIENCE.totalMs + REQUEST_EXTRA_MS,
      // The fast path only saves time: without this line every request goes through node's server.
      ...(usesFastPath && { accept: createFastPath(downloadApp.fastPath) }),
    });
    undo.push(() => downloads.stop(0));
    downloadPort = downloads.port;

    const { adminHost } = initial.server;
    const sources = operated.metricSources(async () => (await readiness()).isReady);
    const consoleParts = createConsoleParts({
      ...{ operated, sources, readiness, log },
      settings: () => settings,
      ...{ reader: settingsFile?.reader, version: () => version, downloadPort },
      notes: () => ({ fault, restart: restartNote }),
    });
    undo.push(consoleParts.stop);
    const { access } = consoleParts;
    const console = openConsole();
    const admin = await startServer({
      host: adminHost,
      port: settings.server.adminPort,
      setting: inFile("server.adminPort"),
      nextRequestId,
      // Objects that a migration brings are as large as uploads.
      requestMs: UPLOAD_PATIENCE.totalMs,
      opened: access.opened,
      listener: createAdminApp({
        access,
        console,
        addTrial: trial && ((admin) => addTrialRoutes(admin, { trial, console, access: access.guard, log })),
        allowedHosts: () => (isLoopbackHost(adminHost) ? adminNames(adminHost, settings.server.adminHosts) : undefined),
        readiness,
        metrics: () => metrics.scrape(sources),
        api: createApi({
          ...{ operated, place, healthPath, nextRequestId, log },
          server: consoleParts,
          stopping: stopping.signal,
        }),
        nextRequestId,
        version: readVersion(),
        log,
      }),
    });

    const warn = () => {
      for (const text of settingsWarnings(settings)) log.warn({}, text);
    };
    await callbacks.notices.redeliver();
    warn();
    return {
      downloadPort: downloads.port,
      adminPort: admin.port,
      async reload(next, nextVersion) {
        await service.apply(next);
        version = nextVersion;
        const kept = settingsNeedingRestart(initial, next);
        restartNote = kept.length === 0 ? undefined : `needs a restart to take effect: ${kept.join(", ")}`;
        settings = next;
        consoleParts.apply(next.server);
        fault = undefined;
        metrics.settingsRead(true);
        downloads.setIdle(idleMs(next));
        log.info({ restartNeededFor: kept }, "new settings are in force");
        warn();
      },
      refuse(text) {
        fault = text;
        metrics.settingsRead(false);
      },
      async drain(hurry) {
        isDraining = true;
        const { drainDelay } = settings.server;
        if (drainDelay === 0) return;
        log.info(
          { milliseconds: drainDelay },
          "draining: serving continues for the drain delay, and health checks get 503",
        );
        // Rejects if it is hurried.
        await delay(drainDelay, undefined, { signal: hurry }).catch(() => undefined);
        log.info({}, "the drain delay is over; no new connection is accepted");
      },
      async stop() {
        isDraining = true;
        stopping.abort();
        // A monotonic clock, so that a system clock that is set back cannot delay the stop.
        const began = performance.now();
        const left = (ms: number) => Math.max(0, began + ms - performance.now());
        const stopAll = async () => {
          await Promise.all([downloads.stop(CLIENT_GRACE_MS), consoleParts.migrations?.close()]);
          await service.drain({ fillMs: left(FILL_GRACE_MS), storeMs: left(STORE_GRACE_MS) });
          await admin.stop(0);
          await closeAll(undo);
          await threadsAreFree();
          return true;
        };
        // Each part has its own deadline; a part that misses it must not keep the process alive.
        const isClosed = await Promise.race([stopAll(), delay(DRAIN_MS, false, { ref: false })]);
        if (!isClosed) log.warn({}, "stopped before everything was closed; the next start takes over what is left");
        return isClosed;
      },
    };
  } catch (error) {
    await closeAll(undo);
    throw error;
  }
}

/** Throws settings_invalid for another value than `off`. */
function isFastPathOn(value = ""): boolean {
  if (value === "" || value === "off") return value === "";
  throw new HuiyuanError(
    "settings_invalid",
    `Cannot use HUIYUAN_FAST_PATH=${JSON.stringify(value)}: wanted off or nothing`,
  );
}

function adminNames(adminHost: string, further: readonly string[]): ReadonlySet<string> {
  return new Set([...LOOPBACK_NAMES, adminHost, ...further.map((name) => name.replace(/^\[|\]$/g, ""))]);
}

/** Closes the parts in the reverse of the order in which they were opened. */
async function closeAll(undo: readonly (() => Promise<void> | void)[]): Promise<void> {
  for (const close of [...undo].reverse()) await close();
}

/** The work of node's threads: disk access and name lookups. */
const ON_A_THREAD = /^(FSReq|GetAddrInfoReq)/;
const THREAD_POLL_MS = 10;

/**
 * Resolves once node's threads are idle. It polls, because no event reports that, and the results may be awaited by
 * nobody.
 */
async function threadsAreFree(): Promise<void> {
  while (process.getActiveResourcesInfo().some((name) => ON_A_THREAD.test(name))) await delay(THREAD_POLL_MS);
}

const MIN_IDLE_MS = 60_000;

/** The idle limit of connections: longer than any origin may take, because its clients get no byte meanwhile. */
function idleMs({ projects }: Settings): number {
  let longest = 0;
  for (const { buckets } of projects)
    for (const { mirror } of buckets.flatMap(({ domains }) => domains))
      for (const { timeouts } of mirror === undefined ? [] : [mirror, ...mirror.rules])
        longest = Math.max(longest, timeouts?.total ?? 0);
  return Math.max(MIN_IDLE_MS, longest + 10_000);
}

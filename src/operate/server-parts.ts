// Part of the composition root: the parts of the admin port that only a server has, most of them for the console.
import { join, resolve } from "node:path";
import type { Log } from "../core/log.ts";
import { readVersion } from "../core/version.ts";
import { createSettingsFile } from "../settings/edit/settings-file.ts";
import type { SettingsReader } from "../settings/edit/text-jobs.ts";
import { isLoopbackHost } from "../settings/hosts.ts";
import { settingsWarnings } from "../settings/load.ts";
import type { ServerSettings, Settings } from "../settings/schema/schema.ts";
import { createAccess } from "./admin/access.ts";
import type { MetricSources } from "./admin/metric-values.ts";
import type { Readiness } from "./admin/readiness.ts";
import type { ServerParts } from "./api.ts";
import { createMigrationJobs } from "./migrations/jobs/jobs.ts";
import { checkOrigins } from "./migrations/wiring/sources.ts";
import type { OperatedService } from "./operated-service.ts";
import { liveFigures } from "./overview/live.ts";
import { type OperatorNotes, readOverview } from "./overview/overview.ts";
import { createSeriesHistory } from "./overview/series-history.ts";
import { createSigner } from "./signing/signing.ts";

export interface ConsoleParts extends ServerParts {
  /** Takes the admin token of new settings; another one ends all sessions. */
  apply(server: ServerSettings): void;
  /** Migrations end by their own close(). */
  stop(): void;
}

export interface ConsoleOptions {
  readonly operated: OperatedService;
  readonly sources: MetricSources;
  /** The settings in force. */
  readonly settings: () => Settings;
  /** Undefined: the server runs no migrations, because they read the settings file, and no call edits it. */
  readonly reader: SettingsReader | undefined;
  /** The version of the settings file that is in force. */
  readonly version: () => string;
  /** The port that downloads listen on. */
  readonly downloadPort: number;
  readonly readiness: () => Promise<Readiness>;
  readonly notes: () => Pick<OperatorNotes, "fault" | "restart">;
  readonly log: Log;
}

/** At the call, `settings()` are those that the server listens with. */
export function createConsoleParts(options: ConsoleOptions): ConsoleParts {
  const { operated, sources, settings, reader, readiness, notes, log } = options;
  const { service, metrics, operations, stored } = operated;
  const { registry } = service;
  const startedAt = Date.now();
  const started = settings();
  const { adminHost } = started.server;
  let { adminToken } = started.server;
  const file = reader && resolve(reader.place.file);
  const access = createAccess({
    token: () => adminToken,
    trustedProxies: () => settings().server.trustedProxies,
    operations,
    clock: () => performance.now(),
    log,
  });
  const series = createSeriesHistory({
    valuesOf: (name) => metrics.valuesOf(name, sources),
    origins: registry.originReport,
    now: Date.now,
  });
  const migrations =
    file === undefined
      ? undefined
      : createMigrationJobs({
          dir: join(started.data, "migrations"),
          settingsFile: file,
          folders: () => settings().server.migrationFolders,
          checkOrigins: (source) => checkOrigins(settings(), source),
        });
  return {
    access,
    sign: createSigner(settings, options.downloadPort),
    migrations,
    settingsFile:
      reader === undefined
        ? undefined
        : createSettingsFile({
            ...{ reader, started },
            inForce: () => ({ version: options.version(), refusal: notes().fault }),
          }),
    live: () => liveFigures(metrics.totals(), sources),
    overview: () =>
      readOverview({
        version: readVersion(),
        startedAt,
        buckets: () => registry.buckets().size,
        stored,
        backups: sources.backups,
        readiness,
        notes: () => ({ ...notes(), warnings: settingsWarnings(settings()), outages: service.outages() }),
        series: series.read,
        migrations: () => migrations?.list() ?? [],
      }),
    apply(server) {
      // The port listens beyond loopback until a restart, so a token that was removed stays in force until then.
      const next = server.adminToken ?? (isLoopbackHost(adminHost) ? undefined : adminToken);
      if (next !== adminToken) access.endAll();
      adminToken = next;
    },
    stop: series.stop,
  };
}

// Part of the composition root: the parts of the admin port that the console needs: logins, live figures, the overview.
import type { Log } from "../core/log.ts";
import { readVersion } from "../core/version.ts";
import { type Access, createAccess } from "../http/admin/access.ts";
import { createLive } from "../http/admin/live.ts";
import type { MetricSources } from "../http/admin/metric-values.ts";
import { type OperatorNotes, readOverview } from "../http/admin/overview.ts";
import type { Readiness } from "../http/admin/readiness.ts";
import { createSeriesHistory } from "../http/admin/series-history.ts";
import type { OverviewParts } from "../http/api/console/overview.ts";
import { isLoopbackHost } from "../settings/hosts.ts";
import { settingsWarnings } from "../settings/load.ts";
import type { ServerSettings, Settings } from "../settings/schema/schema.ts";
import type { Service } from "./service.ts";

export interface ConsoleParts extends OverviewParts {
  readonly access: Access;
  /** Takes the admin token of new settings; another one ends all sessions. */
  apply(server: ServerSettings): void;
  stop(): void;
}

export interface ConsoleOptions {
  readonly service: Service;
  readonly sources: MetricSources;
  /** The settings in force. */
  readonly settings: () => Settings;
  readonly readiness: () => Promise<Readiness>;
  readonly notes: () => Pick<OperatorNotes, "fault" | "restart">;
  readonly stopping: AbortSignal;
  readonly log: Log;
}

/** At the call, `settings()` are those that the server listens with. */
export function createConsoleParts(options: ConsoleOptions): ConsoleParts {
  const { service, sources, settings, readiness, notes, stopping, log } = options;
  const { registry, metrics, accounts } = service;
  const startedAt = Date.now();
  const { adminHost } = settings().server;
  let { adminToken } = settings().server;
  const access = createAccess({
    token: () => adminToken,
    trustedProxies: () => settings().server.trustedProxies,
    operations: accounts.operations,
    now: Date.now,
    clock: () => performance.now(),
    log,
  });
  const series = createSeriesHistory({
    valuesOf: (name) => metrics.valuesOf(name, sources),
    origins: registry.originReport,
    now: Date.now,
  });
  return {
    access,
    live: createLive({ totals: metrics.totals, sources, stopping }),
    overview: () =>
      readOverview({
        version: readVersion(),
        startedAt,
        buckets: () => new Set(registry.domains().map(({ stored }) => stored.bucketId)).size,
        stored: service.stored,
        backups: sources.backups,
        readiness,
        notes: () => ({ ...notes(), warnings: settingsWarnings(settings()), outages: service.outages() }),
        series: series.read,
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

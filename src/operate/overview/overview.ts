// The console's overview: the version, the stored images, the last backup, and all that needs an operator; and its
// live figures.
import { asHuiyuanError } from "../../core/errors.ts";
import type { MetricSources, Totals } from "../admin/metric-values.ts";
import type { Readiness } from "../admin/readiness.ts";
import type { MigrationAnswer } from "../migrations/contract.ts";
import type { OperatedService } from "../operated-service.ts";
import { judge, type Series, worstFirst } from "./attention.ts";
import type { Attention, LiveFigures, OverviewAnswer } from "./contract.ts";

/** Texts about the settings and the store that are shown as they are. */
export interface OperatorNotes {
  /** Why the changed settings file was refused. */
  readonly fault: string | undefined;
  /** The changed settings that wait for a restart. */
  readonly restart: string | undefined;
  /** Settings that are valid and probably wrong. */
  readonly warnings: readonly string[];
  /** Remote stores that do not answer. */
  readonly outages: readonly string[];
}

export interface OverviewSources extends Pick<OperatedService, "stored">, Pick<MetricSources, "backups"> {
  readonly version: string;
  /** Unix milliseconds. */
  readonly startedAt: number;
  readonly buckets: () => number;
  readonly readiness: () => Promise<Readiness>;
  readonly notes: () => OperatorNotes;
  readonly series: () => Promise<Series>;
  /** Throws if a journal cannot be read. */
  readonly migrations: () => readonly MigrationAnswer[];
}

const MAX_ATTENTION = 100;

export async function readOverview(sources: OverviewSources): Promise<OverviewAnswer> {
  const { version, startedAt, buckets, notes } = sources;
  const [stored, backups, readiness, series] = await Promise.all([
    sources.stored(),
    sources.backups(),
    sources.readiness(),
    sources.series(),
  ]);
  const attention = [...notesOf(readiness, notes()), ...judge(series), ...migrationsOf(sources.migrations)];
  return {
    version,
    startedAt: new Date(startedAt).toISOString(),
    buckets: buckets(),
    stored,
    backup: lastBackup(backups),
    attention: worstFirst(attention).slice(0, MAX_ATTENTION),
  };
}

function lastBackup({ started: unfinished = 0, ...ended }: Record<string, number>): OverviewAnswer["backup"] {
  const times: Record<string, number> = { ...ended, unfinished };
  const outcomes = ["succeeded", "damaged", "failed", "unfinished"] as const;
  const [outcome] = outcomes.toSorted((one, other) => (times[other] ?? 0) - (times[one] ?? 0));
  const at = (outcome && times[outcome]) ?? 0;
  return outcome && at > 0 ? { outcome, at: new Date(at).toISOString() } : undefined;
}

function notesOf(readiness: Readiness, { fault, restart, warnings, outages }: OperatorNotes): Attention[] {
  const entries = (
    severity: Attention["severity"],
    code: string,
    mend: Attention["mend"],
    messages: readonly (string | undefined)[],
  ) => messages.flatMap((message) => (message === undefined ? [] : [{ severity, code, message, mend }]));
  const [reason = "the server is not ready"] = readiness.notes;
  const store = { page: "/readyz", command: "journalctl -u huiyuan -n 50" };
  const settings = { page: "/buckets", command: "huiyuan check" };
  return [
    ...entries("critical", "HuiyuanNotReady", store, readiness.isReady ? [] : [reason]),
    ...entries("critical", "store_away", store, outages),
    ...entries("warning", "HuiyuanReloadFailed", settings, [fault]),
    ...entries("warning", "settings_warning", settings, warnings),
    ...entries("info", "restart_needed", { command: "systemctl restart huiyuan" }, [restart]),
  ];
}

/** Running migrations, and those whose last run did not end well. */
function migrationsOf(list: OverviewSources["migrations"]): Attention[] {
  const mend = { page: "/migrations" };
  try {
    return list().flatMap(({ id, isRunning, ended = "0", counters }): Attention[] => {
      const { failed: count = 0, successful: done = 0, submitted: all = 0 } = counters ?? {};
      const common = { values: { id, count, done, all }, mend };
      const running = `the migration ${id} is running: ${done} of ${all} images are copied`;
      if (isRunning) return [{ severity: "info", code: "migration_running", message: running, ...common }];
      const failed = `the migration ${id} could not copy ${count} images`;
      if (count > 0) return [{ severity: "warning", code: "migration_failed", message: failed, ...common }];
      const message = `the last run of the migration ${id} ended early, or found differences`;
      return ended === "0" ? [] : [{ severity: "warning", code: "migration_ended", message, ...common }];
    });
  } catch (error) {
    return [{ severity: "warning", code: "migration_unread", message: asHuiyuanError(error).message, mend }];
  }
}

const TOP_ERRORS = 10;
const MAX_ORIGINS = 50;

/** Totals since the start, and what runs now. A page asks for them once a second: it makes rates of the differences. */
export function liveFigures(
  { requests, errors, bytes, savedBytes }: Totals,
  sources: Pick<MetricSources, "origins" | "fills" | "renders" | "uploads" | "storing" | "memory">,
): LiveFigures {
  const { rss, heapUsed } = process.memoryUsage();
  const { running, waiting } = sources.renders();
  const cache = sources.memory();
  return {
    at: new Date().toISOString(),
    requests: [...requests],
    ...{ bytes, savedBytes },
    errors: [...errors]
      .sort(([, one], [, other]) => other - one)
      .slice(0, TOP_ERRORS)
      .map(([code, count]) => ({ code, count })),
    origins: firstOf(sources.origins(), MAX_ORIGINS).map(({ name, state, running, waiting, pausedMs, latency }) => ({
      ...{ name, state, running, waiting, pausedMs, latency },
    })),
    running: {
      ...{ fills: sources.fills(), renders: running, waitingRenders: waiting, uploads: sources.uploads() },
      waitingWrites: sources.storing().depth,
    },
    memory: { residentBytes: rss, heapBytes: heapUsed, cacheBytes: cache.bytes, cacheObjects: cache.objects },
  };
}

function firstOf<Item>(all: Iterable<Item>, most: number): Item[] {
  const first: Item[] = [];
  for (const item of all) if (first.push(item) === most) break;
  return first;
}

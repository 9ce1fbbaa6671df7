// Reads the series that attention.ts judges, and remembers those of the last hour by the minute, as increase() of
// Prometheus does.
import { collect } from "../../async/pauses.ts";
import type { OriginReport } from "../../serve/origin/guard/guarded.ts";
import type { MetricValue } from "../admin/metric-values.ts";
import type { Series } from "./attention.ts";

export interface SeriesHistory {
  read(): Promise<Series>;
  stop(): void;
}

export interface SeriesParts {
  /** The values of a series with this whole name. */
  readonly valuesOf: (name: string) => Promise<readonly MetricValue[]>;
  readonly origins: () => Iterable<OriginReport>;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Milliseconds; a minute unless a test says otherwise. */
  readonly minuteMs?: number;
}

type Values = ReadonlyMap<string, readonly MetricValue[]>;

const COUNTED = ["requests_total", "errors_total", "client_limited_total", "not_stored_total", "notices_lost_total"];
const READ = [
  ...["process_resident_memory_bytes", "process_start_time_seconds", "storing_depth", "storing_age_seconds"],
  ...["disk_free_bytes", "disk_min_free_bytes", "damaged_objects", "backup_timestamp_seconds", "notices_owed"],
  ...["max_keys_used_ratio", "cluster_attached"],
];
const MINUTES = 60;

export function createSeriesHistory({ valuesOf, origins, now, minuteMs = 60_000 }: SeriesParts): SeriesHistory {
  // Everything was 0 at the start.
  const history: Values[] = [new Map()];

  async function read(names: readonly string[]): Promise<Values> {
    return new Map(await Promise.all(names.map(async (name) => [name, await valuesOf(`huiyuan_${name}`)] as const)));
  }

  const timer = setInterval(() => {
    void read(COUNTED).then((values) => {
      history.push(values);
      if (history.length > MINUTES) history.shift();
    });
  }, minuteMs).unref();

  return {
    async read() {
      const values = await read([...COUNTED, ...READ]);
      const sum = (from: Values | undefined, name: string, fits: (labels: MetricValue["labels"]) => boolean) =>
        (from?.get(name) ?? []).reduce((total, { labels, value }) => total + (fits(labels) ? value : 0), 0);
      return {
        now: (name, labels = {}) =>
          values.get(name)?.find((each) => Object.entries(labels).every(([key, value]) => each.labels[key] === value))
            ?.value,
        all: (name) => values.get(name) ?? [],
        increase: (name, minutes, fits = () => true) =>
          sum(values, name, fits) - sum(history.at(-minutes) ?? history[0], name, fits),
        origins: await collect(origins(), (origin) => origin),
        time: now() / 1_000,
      };
    },
    stop: () => clearInterval(timer),
  };
}

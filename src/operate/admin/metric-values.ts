// The values behind the Prometheus series: the ones that metrics.ts reads elsewhere, and its counts for the console.
import type { ServiceGauges } from "../../serve/wiring/service.ts";

/** Values that are read only when they are needed. */
export interface MetricSources extends ServiceGauges {
  /** Unix milliseconds of the last event of each kind. */
  readonly backups: () => Promise<Readonly<Record<string, number>>>;
  readonly isReady: () => Promise<boolean>;
}

/** Totals since the start. */
export interface Totals {
  readonly requests: readonly { readonly outcome: string; readonly tier: string; readonly count: number }[];
  /** Downloads, and refusals before any listener, by error code. */
  readonly errors: ReadonlyMap<string, number>;
  /** Bytes of all downloads, and those of hits. */
  readonly bytes: number;
  readonly savedBytes: number;
}

export interface MetricValue {
  readonly labels: Readonly<Partial<Record<string, string | number>>>;
  readonly value: number;
}

// The values behind the Prometheus series: the ones that metrics.ts reads elsewhere, and its counts for the console.
import type { DiskSpace } from "../../serve/bucket/fs/free-space.ts";
import type { KeyBudget } from "../../serve/mirror/key-budget.ts";
import type { OriginReport } from "../../serve/origin/guard/guarded.ts";
import type { OutboxState } from "../../serve/upload/callback/outbox.ts";

/** Values that are read only when they are needed. */
export interface MetricSources {
  readonly memory: () => { readonly objects: number; readonly bytes: number };
  readonly spool: () => { readonly spools: number; readonly bytes: number };
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
  /** Unix milliseconds of the last event of each kind. */
  readonly backups: () => Promise<Readonly<Record<string, number>>>;
  readonly renders: () => { readonly running: number; readonly waiting: number };
  /** Space on the data folder's file system. Undefined if it cannot be read. */
  readonly disk: () => Promise<DiskSpace | undefined>;
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

// Finds what needs an operator now: the judgements of config/monitoring/alerts.yaml on this server's series, for the
// console. Each rule has the name, severity and limit of its alert. It sends no alerts: Prometheus does.
import type { OriginReport } from "../../serve/origin/guard/guarded.ts";
import type { MetricValue } from "../admin/metric-values.ts";
import type { Attention } from "./contract.ts";

/** The limits of the alert rules; a test compares the two. */
export const ALERT_LIMITS = {
  HuiyuanErrorRatio: 0.05,
  HuiyuanMemoryHigh: 1.5e9,
  HuiyuanClientsLimited: 1,
  HuiyuanOriginSlow: 2,
  HuiyuanStoringBehind: 300,
  HuiyuanMaxKeysNear: 0.9,
  HuiyuanDiskNearlyFull: 2,
  HuiyuanBackupTooOld: 93_600,
} as const;
const MIN_REQUESTS_A_SECOND = 0.2;
const MIN_ORIGIN_RESPONSES = 20;
const MAX_DEPTH = 50_000;

/** Series as the metrics have them, without `huiyuan_`. */
export interface Series {
  /** The value of a series with these labels; undefined: there is none. */
  now(name: string, labels?: Readonly<Record<string, string>>): number | undefined;
  /** All values of a series. */
  all(name: string): readonly MetricValue[];
  /** The increase of a counter in the last minutes, of the series whose labels fit. */
  increase(name: string, minutes: number, fits?: (labels: MetricValue["labels"]) => boolean): number;
  readonly origins: readonly OriginReport[];
  /** Unix seconds. */
  readonly time: number;
}

type Finding = Omit<Attention, "severity" | "code" | "mend">;

interface Rule extends Pick<Attention, "severity" | "mend"> {
  /** The alert of the same judgement, or a code of our own. */
  readonly code: string;
  readonly find: (series: Series) => Finding | readonly Finding[] | undefined;
}

/** The errors that the client did not cause. */
const OWN_ERROR = /^(origin_.+|overloaded|not_kept|store_.+|internal|render_.+|original_replaced)$/;
const OVERVIEW_ORDER = ["critical", "warning", "info"];
const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
const hours = (seconds: number) => Math.round(seconds / 3_600);

export const RULES: readonly Rule[] = [
  {
    code: "HuiyuanErrorRatio",
    severity: "warning",
    mend: { page: "/logs?view=explain" },
    find({ increase }) {
      const requests = increase("requests_total", 5);
      const isOwn = ({ code }: MetricValue["labels"]) => OWN_ERROR.test(String(code)) && code !== "origin_moved";
      const ratio = increase("errors_total", 5, isOwn) / requests;
      if (requests / 300 <= MIN_REQUESTS_A_SECOND || ratio <= ALERT_LIMITS.HuiyuanErrorRatio) return undefined;
      const percent = Math.round(ratio * 100);
      return { message: `${percent} % of the downloads of the last five minutes failed`, values: { percent } };
    },
  },
  {
    code: "HuiyuanMemoryHigh",
    severity: "warning",
    mend: { command: "systemctl restart huiyuan" },
    find({ now }) {
      const bytes = now("process_resident_memory_bytes") ?? 0;
      if (bytes <= ALERT_LIMITS.HuiyuanMemoryHigh) return undefined;
      return { message: `the process uses ${gigabytes(bytes)} of memory`, values: { bytes } };
    },
  },
  {
    code: "HuiyuanClientsLimited",
    severity: "info",
    mend: { command: "journalctl -u huiyuan -g 'exceeds its rate'" },
    find: ({ increase }) =>
      ["requests", "renders"].flatMap((limit) => {
        const count = increase("client_limited_total", 5, (labels) => labels.limit === limit);
        if (count / 300 <= ALERT_LIMITS.HuiyuanClientsLimited) return [];
        return [{ message: `clients exceed limits.perClient (${limit})`, values: { limit, count } }];
      }),
  },
  {
    code: "HuiyuanOriginBreakerOpen",
    severity: "critical",
    mend: { page: "/origins" },
    // A breaker is half-open between its trials.
    find: ({ origins }) =>
      origins
        .filter(({ state }) => state !== "closed")
        .map(({ name }) => ({
          message: `the origin ${name} keeps failing; missing images get 424`,
          values: { origin: name },
        })),
  },
  {
    code: "HuiyuanOriginSlow",
    severity: "warning",
    mend: { page: "/origins" },
    find: ({ origins }) =>
      origins.flatMap(({ name, latency, requests, failed }) => {
        if (latency === undefined || requests - failed <= MIN_ORIGIN_RESPONSES) return [];
        const seconds = Math.round(latency.p90 / 100) / 10;
        if (latency.p90 / 1_000 <= ALERT_LIMITS.HuiyuanOriginSlow) return [];
        return [
          {
            message: `one fetch in ten waits over ${seconds} s for the origin ${name}`,
            values: { origin: name, seconds },
          },
        ];
      }),
  },
  {
    code: "HuiyuanStoringBehind",
    severity: "warning",
    mend: { page: "/readyz" },
    find({ now }) {
      const [images, seconds] = [now("storing_depth") ?? 0, Math.round(now("storing_age_seconds") ?? 0)];
      if (seconds <= ALERT_LIMITS.HuiyuanStoringBehind && images <= MAX_DEPTH) return undefined;
      return { message: `${images} images wait to be stored, one for ${seconds} s`, values: { images, seconds } };
    },
  },
  {
    code: "HuiyuanNotStored",
    severity: "warning",
    mend: { page: "/readyz", command: "df -h" },
    find({ increase }) {
      const images = increase("not_stored_total", 15);
      if (images === 0) return undefined;
      return { message: `${images} good images of the last 15 minutes could not be stored`, values: { images } };
    },
  },
  {
    code: "HuiyuanMaxKeysNear",
    severity: "warning",
    mend: { page: "/buckets" },
    find: ({ all }) =>
      all("max_keys_used_ratio").flatMap(({ labels: { bucket = "" }, value }) => {
        if (value <= ALERT_LIMITS.HuiyuanMaxKeysNear) return [];
        const percent = Math.floor(value * 100);
        return [{ message: `the bucket ${bucket} uses ${percent} % of its maxKeys`, values: { bucket, percent } }];
      }),
  },
  {
    code: "HuiyuanDiskNearlyFull",
    severity: "warning",
    mend: { command: "df -h" },
    find({ now }) {
      const [free, minimum] = [now("disk_free_bytes"), now("disk_min_free_bytes")];
      if (free === undefined || minimum === undefined) return undefined;
      if (free < minimum || free >= ALERT_LIMITS.HuiyuanDiskNearlyFull * minimum) return undefined;
      return { message: `the data folder's disk is nearly full: ${gigabytes(free)} are free`, values: { bytes: free } };
    },
  },
  {
    code: "HuiyuanDiskFull",
    severity: "critical",
    mend: { command: "huiyuan delete --prefix PREFIX" },
    find({ now }) {
      const [free, minimum] = [now("disk_free_bytes"), now("disk_min_free_bytes")];
      if (free === undefined || minimum === undefined || free >= minimum) return undefined;
      return { message: `only ${gigabytes(free)} are free: nothing more is stored`, values: { bytes: free } };
    },
  },
  {
    code: "HuiyuanDamagedObjects",
    severity: "critical",
    mend: { command: "huiyuan restore" },
    find({ now }) {
      const images = now("damaged_objects") ?? 0;
      if (images === 0) return undefined;
      return { message: `${images} uploaded images are damaged on the disk`, values: { images } };
    },
  },
  {
    code: "HuiyuanBackupTooOld",
    severity: "warning",
    mend: { command: "huiyuan backup" },
    find({ now, time }) {
      const last = now("backup_timestamp_seconds", { event: "succeeded" });
      const age = time - (last ?? now("process_start_time_seconds") ?? time);
      if (age <= ALERT_LIMITS.HuiyuanBackupTooOld) return undefined;
      if (last === undefined) return { message: "there is no backup" };
      return { message: `no backup succeeded for ${hours(age)} hours`, values: { hours: hours(age) } };
    },
  },
  {
    code: "HuiyuanBackupFailed",
    severity: "warning",
    mend: { command: "huiyuan backup" },
    find({ now }) {
      const at = (event: string) => now("backup_timestamp_seconds", { event }) ?? 0;
      if (Math.max(at("failed"), at("damaged")) <= at("succeeded")) return undefined;
      if (at("damaged") > at("failed")) return { message: "the last backup found damaged images" };
      return { message: "the last backup failed" };
    },
  },
  {
    code: "HuiyuanRenderOverload",
    severity: "warning",
    mend: { page: "/buckets" },
    find({ increase }) {
      const refused = increase("errors_total", 5, ({ code }) => code === "render_overloaded");
      if (refused === 0) return undefined;
      return { message: "more images are to be processed than the cores can do", values: { refused } };
    },
  },
  {
    code: "HuiyuanCallbacksGivenUp",
    severity: "warning",
    mend: { page: "/logs?view=callbacks", command: "huiyuan callbacks retry --all" },
    find({ now }) {
      const count = now("notices_owed", { state: "given-up" }) ?? 0;
      if (count === 0) return undefined;
      return { message: `${count} callbacks were not delivered within 24 hours`, values: { count } };
    },
  },
  {
    code: "callbacks_waiting",
    severity: "info",
    mend: { page: "/logs?view=callbacks", command: "huiyuan callbacks list" },
    find({ now }) {
      const count = now("notices_owed", { state: "waiting" }) ?? 0;
      if (count === 0) return undefined;
      return { message: `${count} callbacks wait for a retry`, values: { count } };
    },
  },
  {
    code: "HuiyuanCallbacksLost",
    severity: "critical",
    mend: { page: "/logs?operation=upload", command: "huiyuan log --operation upload" },
    find({ increase }) {
      const count = increase("notices_lost_total", 60);
      if (count === 0) return undefined;
      return { message: `${count} callbacks failed and could not be stored for a retry`, values: { count } };
    },
  },
];

export function judge(series: Series): Attention[] {
  return RULES.flatMap(({ code, severity, mend, find }) =>
    [find(series) ?? []].flat().map((finding) => ({ severity, code, ...finding, mend })),
  );
}

/** Worst first; the order of equally bad ones stays. */
export function worstFirst(all: readonly Attention[]): Attention[] {
  const rank = ({ severity }: Attention) => OVERVIEW_ORDER.indexOf(severity);
  return all.toSorted((one, other) => rank(one) - rank(other));
}

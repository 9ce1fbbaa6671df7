// Finds what needs an operator now: the judgements of config/monitoring/alerts.yaml on this server's series, for the
// console. Each rule has the name, severity and limit of its alert. It sends no alerts: Prometheus does.
import { ERROR_CODES, errorRow, faultOf } from "../../core/errors.ts";
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

/** `code`: the alert of the same judgement, or a code of our own. */
const rule = (
  code: string,
  severity: Attention["severity"],
  mend: Attention["mend"],
  find: (series: Series) => Finding | readonly Finding[] | undefined,
) => ({ code, severity, mend, find });

/** A finding if there is one or more of these. */
const counted = (name: string, count: number | undefined, message: string) =>
  count === undefined || count === 0 ? undefined : { message: `${count} ${message}`, values: { [name]: count } };

/** The codes that HuiyuanErrorRatio counts: all but faults of clients, stops and redirects. */
export const OWN_ERRORS: ReadonlySet<unknown> = new Set(
  ERROR_CODES.filter((code) => !["client", "nobody"].includes(faultOf(code)) && errorRow(code).status >= 400),
);
const OVERVIEW_ORDER = ["critical", "warning", "info"];
const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
const hours = (seconds: number) => Math.round(seconds / 3_600);

const CALLBACKS = { page: "/logs?view=callbacks" };
const UPLOADS = { page: "/logs?operation=upload" };

export const RULES = [
  rule("HuiyuanErrorRatio", "warning", { page: "/logs?view=explain" }, ({ increase }) => {
    const requests = increase("requests_total", 5);
    const isOwn = ({ code }: MetricValue["labels"]) => OWN_ERRORS.has(code);
    const ratio = increase("errors_total", 5, isOwn) / requests;
    if (requests / 300 <= MIN_REQUESTS_A_SECOND || ratio <= ALERT_LIMITS.HuiyuanErrorRatio) return undefined;
    const percent = Math.round(ratio * 100);
    return { message: `${percent} % of the downloads of the last five minutes failed`, values: { percent } };
  }),
  rule("HuiyuanMemoryHigh", "warning", { command: "systemctl restart huiyuan" }, ({ now }) => {
    const bytes = now("process_resident_memory_bytes") ?? 0;
    if (bytes <= ALERT_LIMITS.HuiyuanMemoryHigh) return undefined;
    return { message: `the process uses ${gigabytes(bytes)} of memory`, values: { bytes } };
  }),
  rule("HuiyuanClientsLimited", "info", { command: "journalctl -u huiyuan -g 'exceeds its rate'" }, ({ increase }) =>
    ["requests", "renders"].flatMap((limit) => {
      const count = increase("client_limited_total", 5, (labels) => labels.limit === limit);
      if (count / 300 <= ALERT_LIMITS.HuiyuanClientsLimited) return [];
      return [{ message: `clients exceed limits.perClient (${limit})`, values: { limit, count } }];
    }),
  ),
  // A breaker is half-open between its trials.
  rule("HuiyuanOriginBreakerOpen", "critical", { page: "/origins" }, ({ origins }) =>
    origins
      .filter(({ state }) => state !== "closed")
      .map(({ name }) => ({
        message: `the origin ${name} keeps failing; missing images get 424`,
        values: { origin: name },
      })),
  ),
  rule("HuiyuanOriginSlow", "warning", { page: "/origins" }, ({ origins }) =>
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
  ),
  rule("HuiyuanStoringBehind", "warning", { page: "/readyz" }, ({ now }) => {
    const [images, seconds] = [now("storing_depth") ?? 0, Math.round(now("storing_age_seconds") ?? 0)];
    if (seconds <= ALERT_LIMITS.HuiyuanStoringBehind && images <= MAX_DEPTH) return undefined;
    return { message: `${images} images wait to be stored, one for ${seconds} s`, values: { images, seconds } };
  }),
  rule("HuiyuanNotStored", "warning", { page: "/readyz", command: "df -h" }, ({ increase }) =>
    counted("images", increase("not_stored_total", 15), "good images of the last 15 minutes could not be stored"),
  ),
  rule("HuiyuanMaxKeysNear", "warning", { page: "/buckets" }, ({ all }) =>
    all("max_keys_used_ratio").flatMap(({ labels: { bucket = "" }, value }) => {
      if (value <= ALERT_LIMITS.HuiyuanMaxKeysNear) return [];
      const percent = Math.floor(value * 100);
      return [{ message: `the bucket ${bucket} uses ${percent} % of its maxKeys`, values: { bucket, percent } }];
    }),
  ),
  rule("HuiyuanDiskNearlyFull", "warning", { command: "df -h" }, ({ now }) => {
    const [free, minimum] = [now("disk_free_bytes"), now("disk_min_free_bytes")];
    if (free === undefined || minimum === undefined) return undefined;
    if (free < minimum || free >= ALERT_LIMITS.HuiyuanDiskNearlyFull * minimum) return undefined;
    return { message: `the data folder's disk is nearly full: ${gigabytes(free)} are free`, values: { bytes: free } };
  }),
  rule("HuiyuanDiskFull", "critical", { command: "huiyuan delete --prefix PREFIX" }, ({ now }) => {
    const [free, minimum] = [now("disk_free_bytes"), now("disk_min_free_bytes")];
    if (free === undefined || minimum === undefined || free >= minimum) return undefined;
    return { message: `only ${gigabytes(free)} are free: nothing more is stored`, values: { bytes: free } };
  }),
  rule("HuiyuanDetached", "warning", { page: "/readyz" }, ({ now }) =>
    now("cluster_attached") === 0 ? { message: "Valkey does not answer: images are compared with S3" } : undefined,
  ),
  rule("HuiyuanDamagedObjects", "critical", { command: "huiyuan restore" }, ({ now }) =>
    counted("images", now("damaged_objects"), "uploaded images are damaged on the disk"),
  ),
  rule("HuiyuanBackupTooOld", "warning", { command: "huiyuan backup DIR" }, ({ now, time }) => {
    const last = now("backup_timestamp_seconds", { event: "succeeded" });
    const age = time - (last ?? now("process_start_time_seconds") ?? time);
    if (age <= ALERT_LIMITS.HuiyuanBackupTooOld) return undefined;
    if (last === undefined) return { message: "there is no backup" };
    return { message: `no backup succeeded for ${hours(age)} hours`, values: { hours: hours(age) } };
  }),
  rule("HuiyuanBackupFailed", "warning", { command: "huiyuan backup DIR" }, ({ now }) => {
    const at = (event: string) => now("backup_timestamp_seconds", { event }) ?? 0;
    if (Math.max(at("failed"), at("damaged")) <= at("succeeded")) return undefined;
    if (at("damaged") > at("failed")) return { message: "the last backup found damaged images" };
    return { message: "the last backup failed" };
  }),
  rule("HuiyuanRenderOverload", "warning", { page: "/buckets" }, ({ increase }) => {
    const refused = increase("errors_total", 5, ({ code }) => code === "render_overloaded");
    if (refused === 0) return undefined;
    return { message: "more images are to be processed than the cores can do", values: { refused } };
  }),
  rule("HuiyuanCallbacksGivenUp", "warning", { ...CALLBACKS, command: "huiyuan callbacks retry --all" }, ({ now }) =>
    counted("count", now("notices_owed", { state: "given-up" }), "callbacks were not delivered within 24 hours"),
  ),
  rule("callbacks_waiting", "info", { ...CALLBACKS, command: "huiyuan callbacks list" }, ({ now }) =>
    counted("count", now("notices_owed", { state: "waiting" }), "callbacks wait for a retry"),
  ),
  rule("HuiyuanCallbacksLost", "critical", { ...UPLOADS, command: "huiyuan log --operation upload" }, ({ increase }) =>
    counted("count", increase("notices_lost_total", 60), "callbacks failed and could not be stored for a retry"),
  ),
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

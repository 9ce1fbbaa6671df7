// The overview has the same judgements as the alert rules, at the same limits.
import { expect, test } from "vitest";
import { ERROR_CODES, HuiyuanError } from "../../../../src/core/errors.ts";
import type { MetricValue } from "../../../../src/operate/admin/metric-values.ts";
import type { MigrationAnswer } from "../../../../src/operate/migrations/contract.ts";
import {
  ALERT_LIMITS,
  judge,
  OWN_ERRORS,
  RULES,
  type Series,
  worstFirst,
} from "../../../../src/operate/overview/attention.ts";
import { type OverviewSources, readOverview } from "../../../../src/operate/overview/overview.ts";
import { createSeriesHistory } from "../../../../src/operate/overview/series-history.ts";
import { alertRules } from "../../../helpers/monitoring.ts";

/** Series by name, and increases by name and minutes. */
function seriesOf(
  now: Readonly<Record<string, number>>,
  increases: Readonly<Record<string, readonly MetricValue[]>> = {},
  origins: Series["origins"] = [],
): Series {
  return {
    now: (name, labels = {}) => now[[name, ...Object.values(labels)].join(" ")],
    all: (name) => increases[name] ?? [],
    increase: (name, minutes, fits = () => true) =>
      (increases[`${name} ${minutes}`] ?? []).reduce((sum, { labels, value }) => sum + (fits(labels) ? value : 0), 0),
    origins,
    time: 1_000_000,
  };
}
const codesOf = (...series: Parameters<typeof seriesOf>) => judge(seriesOf(...series)).map(({ code }) => code);
const codes = (count: number, code = "origin_timeout") => [{ labels: { code }, value: count }];
const anyLabels = (value: number) => [{ labels: {}, value }];
const origin = (more: object) => ({
  name: "o",
  state: "closed" as const,
  stateMs: 0,
  running: 0,
  connections: 8,
  requestsPerSecond: 0,
  waiting: 0,
  pausedMs: 0,
  condition: "answers" as const,
  requests: 0,
  failed: 0,
  latency: undefined,
  failures: [],
  ...more,
});
/** 9 failures, and the others' latency. */
const slow = (p90: number, requests = 30) =>
  origin({ requests, failed: 9, latency: { p50: 1, p90, p99: 9_000, max: 9_000 } });

test("every alert has a rule with its severity; the others are judged elsewhere", () => {
  const elsewhere = [
    // Prometheus alone can see it; overview.ts has the reasons of the next two; a scrape resets the series of the last.
    ...["HuiyuanDown", "HuiyuanNotReady", "HuiyuanReloadFailed", "HuiyuanEventLoopSlow"],
  ];
  const alerts = alertRules().filter(({ alert }) => !elsewhere.includes(alert));
  const rules = RULES.filter(({ code }) => code.startsWith("Huiyuan"));
  expect(rules.map(({ code, severity }) => [code, severity])).toEqual(
    alerts.map(({ alert, labels }) => [alert, labels.severity]),
  );
});

test("the limits are those of the alert rules", () => {
  for (const [alert, limit] of Object.entries(ALERT_LIMITS)) {
    const { expr = "" } = alertRules().find((each) => each.alert === alert) ?? {};
    expect([alert, [...expr.matchAll(/\b\d[\d.e]*\b/g)].map(Number)]).toEqual([alert, expect.arrayContaining([limit])]);
  }
});

test("a healthy server with values beside the limits needs nothing", () => {
  const now = {
    ...{ process_resident_memory_bytes: 1.5e9, storing_depth: 50_000, storing_age_seconds: 300 },
    ...{ disk_free_bytes: 4e9, disk_min_free_bytes: 2e9, damaged_objects: 0, cluster_attached: 1 },
    ...{ "backup_timestamp_seconds succeeded": 906_400, "backup_timestamp_seconds failed": 906_399 },
    ...{ process_start_time_seconds: 0, "notices_owed given-up": 0 },
  };
  const increases = {
    "requests_total 5": anyLabels(100),
    "errors_total 5": [...codes(5), ...codes(50, "not_found"), ...codes(50, "origin_moved")],
    "client_limited_total 5": [{ labels: { limit: "requests" }, value: 300 }],
    max_keys_used_ratio: [{ labels: { bucket: "1/b" }, value: 0.9 }],
  };
  expect(codesOf(now, increases, [slow(2_000), slow(9_000, 29)])).toEqual([]);
  // Ten minutes after its first start.
  expect(codesOf({ process_start_time_seconds: 999_400 })).toEqual([]);
});

const DISK = { disk_min_free_bytes: 2e9 };
test.each<[string, ...Parameters<typeof seriesOf>]>([
  ["HuiyuanErrorRatio", {}, { "requests_total 5": anyLabels(100), "errors_total 5": codes(6) }],
  ["HuiyuanMemoryHigh", { process_resident_memory_bytes: 1.6e9 }],
  ["HuiyuanClientsLimited", {}, { "client_limited_total 5": [{ labels: { limit: "renders" }, value: 301 }] }],
  ["HuiyuanOriginBreakerOpen", {}, {}, [origin({ state: "open" })]],
  ["HuiyuanOriginBreakerOpen", {}, {}, [origin({ state: "half-open" })]],
  ["HuiyuanOriginSlow", {}, {}, [slow(2_001)]],
  ["HuiyuanStoringBehind", { storing_age_seconds: 301 }],
  ["HuiyuanStoringBehind", { storing_depth: 50_001 }],
  ["HuiyuanNotStored", {}, { "not_stored_total 15": anyLabels(1) }],
  ["HuiyuanMaxKeysNear", {}, { max_keys_used_ratio: [{ labels: { bucket: "1/b" }, value: 0.91 }] }],
  ["HuiyuanDiskNearlyFull", { ...DISK, disk_free_bytes: 3.9e9 }],
  ["HuiyuanDiskFull", { ...DISK, disk_free_bytes: 1.9e9 }],
  ["HuiyuanDetached", { cluster_attached: 0 }],
  ["HuiyuanDamagedObjects", { damaged_objects: 1 }],
  ["HuiyuanBackupTooOld", { "backup_timestamp_seconds succeeded": 906_399 }],
  ["HuiyuanBackupTooOld", { process_start_time_seconds: 906_399 }],
  [
    "HuiyuanBackupFailed",
    { "backup_timestamp_seconds succeeded": 950_000, "backup_timestamp_seconds failed": 950_001 },
  ],
  ["HuiyuanBackupFailed", { "backup_timestamp_seconds damaged": 950_001 }],
  ["HuiyuanRenderOverload", {}, { "errors_total 5": codes(1, "render_overloaded") }],
  ["HuiyuanCallbacksGivenUp", { "notices_owed given-up": 2 }],
  ["callbacks_waiting", { "notices_owed waiting": 2 }],
  ["HuiyuanCallbacksLost", {}, { "notices_lost_total 60": anyLabels(1) }],
])("%s is found, alone", (code, now, increases, origins) => {
  expect(codesOf(now, increases, origins)).toEqual([code]);
});

test("each judgement names a page or a command that mends it", () => {
  expect(RULES.filter(({ mend }) => mend.page === undefined && mend.command === undefined)).toEqual([]);
});

test("worstFirst() sorts by severity, and keeps the order of equally bad ones", () => {
  const item = (severity: "critical" | "warning" | "info", code: string) => ({ severity, code, message: "", mend: {} });
  const sorted = worstFirst([item("info", "a"), item("warning", "b"), item("critical", "c"), item("warning", "d")]);
  expect(sorted.map(({ code }) => code)).toEqual(["c", "b", "d", "a"]);
});

const SOURCES: OverviewSources = {
  version: "1",
  startedAt: 0,
  buckets: () => 2,
  stored: async () => undefined,
  backups: async () => ({}),
  readiness: async () => ({ isReady: true, notes: [] }),
  notes: () => ({ fault: undefined, restart: undefined, warnings: [], outages: [] }),
  series: async () => seriesOf({}),
  migrations: () => [],
};

test("readOverview() says what the settings, the store and the readiness say, worst first", async () => {
  const { attention } = await readOverview({
    ...SOURCES,
    readiness: async () => ({ isReady: false, notes: ["the store cannot be written (store_failed)"] }),
    notes: () => ({ fault: "a fault", restart: "a restart", warnings: ["one", "two"], outages: ["s3 is away"] }),
  });
  expect(attention.map(({ severity, code, message }) => [severity, code, message])).toEqual([
    ["critical", "HuiyuanNotReady", "the store cannot be written (store_failed)"],
    ["critical", "store_away", "s3 is away"],
    ["warning", "HuiyuanReloadFailed", "a fault"],
    ["warning", "settings_warning", "one"],
    ["warning", "settings_warning", "two"],
    ["info", "restart_needed", "a restart"],
  ]);
  expect(attention.filter(({ mend }) => mend.page === undefined && mend.command === undefined)).toEqual([]);
});

test("readOverview() has running migrations, and those that ended with failures", async () => {
  const job = (id: string, more: object): MigrationAnswer => ({
    ...{ id, source: "S3", isRunning: false, isVerifying: false, verification: undefined, ended: undefined },
    ...{ counters: undefined, output: "", ...more },
  });
  const counters = { submitted: 9, successful: 7, failed: 2 };
  const migrations = () => [
    job("good", { ended: "0", counters: { ...counters, failed: 0 } }),
    job("runs", { isRunning: true, counters }),
    job("unread", { ended: "2" }),
    job("failed", { counters }),
    job("stopped", {}),
  ];
  const { attention } = await readOverview({ ...SOURCES, migrations });
  expect(attention.map(({ severity, code, values, mend }) => [severity, code, values, mend.page])).toEqual([
    ["warning", "migration_ended", { id: "unread", count: 0, done: 0, all: 0 }, "/migrations"],
    ["warning", "migration_failed", { id: "failed", count: 2, done: 7, all: 9 }, "/migrations"],
    ["info", "migration_running", { id: "runs", count: 2, done: 7, all: 9 }, "/migrations"],
  ]);
});

test("readOverview() says that a migration cannot be read", async () => {
  const migrations = () => {
    throw new HuiyuanError("store_failed", "Cannot read the journal");
  };
  const { attention } = await readOverview({ ...SOURCES, migrations });
  expect(attention).toMatchObject([{ code: "migration_unread", message: "Cannot read the journal" }]);
});

test.each([
  [{}, undefined],
  [
    { started: 1_000, succeeded: 2_000 },
    { outcome: "succeeded", at: "1970-01-01T00:00:02.000Z" },
  ],
  [
    { started: 3_000, succeeded: 2_000 },
    { outcome: "unfinished", at: "1970-01-01T00:00:03.000Z" },
  ],
  [
    { started: 3_000, succeeded: 2_000, failed: 4_000 },
    { outcome: "failed", at: "1970-01-01T00:00:04.000Z" },
  ],
  [
    { started: 3_000, damaged: 4_000 },
    { outcome: "damaged", at: "1970-01-01T00:00:04.000Z" },
  ],
])("the last backup of %j is %j", async (backups, backup) => {
  expect((await readOverview({ ...SOURCES, backups: async () => backups })).backup).toEqual(backup);
});

test("createSeriesHistory() reads increases over minutes, from 0 at the start", async () => {
  let errors = 5;
  let minutes = 0;
  const history = createSeriesHistory({
    async valuesOf(name) {
      if (name === "huiyuan_requests_total") minutes += 1;
      if (name === "huiyuan_errors_total") return [...codes(errors), ...codes(100, "other")];
      return name === "huiyuan_notices_owed" ? [{ labels: { state: "waiting" }, value: 3 }] : [];
    },
    ...{ origins: () => [], now: () => 7_000, minuteMs: 10 },
  });
  const isOwn = ({ code }: MetricValue["labels"]) => code === "origin_timeout";
  const series = await history.read();
  expect([series.increase("errors_total", 5, isOwn), series.increase("errors_total", 5)]).toEqual([5, 105]);
  expect([series.now("notices_owed", { state: "waiting" }), series.now("notices_owed", { state: "x" })]).toEqual([
    3,
    undefined,
  ]);
  expect(series.time).toBe(7);
  await expect.poll(() => minutes).toBeGreaterThan(8);
  errors = 7;
  const later = await history.read();
  expect([later.increase("errors_total", 2), later.increase("errors_total", 60)]).toEqual([2, 107]);
  history.stop();
});

test("HuiyuanErrorRatio counts the same codes here and in alerts.yaml", () => {
  const { expr } = alertRules().find(({ alert }) => alert === "HuiyuanErrorRatio") ?? { expr: "" };
  const counted = new RegExp(`^(?:${/code=~"([^"]+)"/.exec(expr)?.[1]})$`);
  const [, left] = /code!="([^"]+)"/.exec(expr) ?? [];
  const inFile = ERROR_CODES.filter((code) => counted.test(code) && code !== left);
  // No download gets these, so that the expression need not name them.
  const elsewhere = ["copy_failed", "delete_failed", "settings_invalid", "data_locked"];
  expect(new Set([...inFile, ...elsewhere])).toEqual(OWN_ERRORS);
});

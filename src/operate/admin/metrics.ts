// The Prometheus series. Frequent events are counted in plain numbers, which a scrape reads. Label values are few and
// fixed: outcomes, tiers, error codes, origins of the settings, buckets near maxKeys; never keys, clients or hosts.
import { monitorEventLoopDelay } from "node:perf_hooks";
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { collect, createPauses } from "../../async/pauses.ts";
import type { ErrorCode } from "../../core/errors.ts";
import type { DownloadExchange } from "../../serve/http/request/exchange.ts";
import type { AnsweredCall } from "../../serve/http/rest/rest.ts";
import type { OriginHealth } from "../../serve/origin/guard/guarded.ts";
import { OUTBOX_STATES, type OutboxState } from "../../serve/upload/callback/outbox.ts";
import type { ServiceMeters } from "../../serve/wiring/service.ts";
import type { MetricSources, MetricValue, Totals } from "./metric-values.ts";

export interface Metrics extends ServiceMeters {
  /** Counts an answered download. */
  answered(exchange: DownloadExchange): void;
  /** Counts a download that the fast path answered at once; answered() counts it too. */
  fastPathHit(): void;
  /** Counts an answered call of the REST API. */
  called(call: AnsweredCall): void;
  /** Records that the settings were read: applied at the start or by a reload, or refused. */
  settingsRead(isApplied: boolean): void;
  /** Counts input that was refused before any listener saw a request. */
  refused(code: ErrorCode): void;
  /** All series, for the reference. */
  readonly series: readonly Series[];
  totals(): Totals;
  /** The present values of one series, such as `huiyuan_ready`. */
  valuesOf(name: string, sources: MetricSources): Promise<readonly MetricValue[]>;
  /** Prometheus text format. */
  scrape(sources: MetricSources): Promise<{ readonly mediaType: string; readonly text: string }>;
  stop(): void;
}

/** `type`: counter, gauge or histogram. */
export interface Series {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly labelNames: readonly string[];
}

const BREAKER_STATES: readonly OriginHealth["state"][] = ["closed", "half-open", "open"];
const LOOP_RESOLUTION_MS = 20;
/** Counted from 0, because Prometheus sees no increase in a series that begins above 0. */
const NOT_STORED: readonly ErrorCode[] = ["store_full", "store_failed", "overloaded", "origin_unexpected", "internal"];

/** Labels and the value of each series. */
type LabelledNow = readonly (readonly [labels: Readonly<Record<string, string>>, value: number])[];
type Labelled = LabelledNow | Promise<LabelledNow>;

export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const loopDelay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  loopDelay.enable();

  const requests = new Map<string, number>();
  const errors = new Map<string, number>();
  let savedBytes = 0;
  let fetchedBytes = 0;
  let fastPathHits = 0;
  const counter = (name: string, help: string, labelNames: string[] = []) =>
    new Counter({ name: `huiyuan_${name}`, help, labelNames, registers });
  const histogram = (name: string, help: string, buckets: number[]) =>
    new Histogram({ name: `huiyuan_${name}`, help, buckets, registers });

  let sources: MetricSources | undefined;
  /** Series whose values are read at each scrape; earlier ones disappear. */
  const readAll = (name: string, help: string, labelNames: string[], values: (from: MetricSources) => Labelled) =>
    new Gauge({
      ...{ name: `huiyuan_${name}`, help, labelNames, registers },
      async collect() {
        const all = sources === undefined ? [] : await values(sources);
        this.reset();
        if (labelNames.length === 0) this.remove(); // reset() leaves a 0, which reads as a measurement
        for (const [labels, value] of all) this.set(labels, value);
      },
    });
  type Value = number | undefined; // there is none now
  const read = (name: string, help: string, value: (from: MetricSources) => Value | Promise<Value>) =>
    readAll(name, help, [], async (from) => {
      const now = await value(from);
      return now === undefined ? [] : [[{}, now]];
    });
  const ofOrigin = (name: string, help: string, value: (health: OriginHealth) => number) =>
    readAll(`origin_${name}`, help, ["origin"], (from) =>
      collect(from.origins(), (health) => [{ origin: health.name }, value(health)] as const),
    );
  const readCounter = (name: string, help: string, labelNames: string[], values: () => LabelledNow) =>
    new Counter({
      ...{ name: `huiyuan_${name}`, help, labelNames, registers },
      collect() {
        this.reset();
        for (const [labels, value] of values()) this.inc(labels, value);
      },
    });

  const requestsHelp =
    "Downloads by outcome (hit, miss, error, other) and the tier of the answer (memory, bucket, spool, renderer, origin, none)";
  const requestTotals = () =>
    [...requests].map(([label, count]) => {
      const [outcome = "", tier = ""] = label.split(" ");
      return { outcome, tier, count };
    });
  readCounter("requests_total", requestsHelp, ["outcome", "tier"], () =>
    requestTotals().map(({ count, ...labels }) => [labels, count]),
  );
  readCounter("saved_bytes_total", "Bytes of hits: the origin did not send them", [], () => [[{}, savedBytes]]);
  const fastPathHelp = "Hits that the fast path answered at once; 0 if HUIYUAN_FAST_PATH is off";
  readCounter("fast_path_hits_total", fastPathHelp, [], () => [[{}, fastPathHits]]);
  readCounter("errors_total", "Downloads answered with an error, by error code", ["code"], () =>
    [...errors].map(([code, count]) => [{ code }, count]),
  );
  const countError = (code: string) => void errors.set(code, (errors.get(code) ?? 0) + 1);
  const limitedHelp = "Requests and renders that limits.perClient refused, by limit (requests, renders)";
  const limited = counter("client_limited_total", limitedHelp, ["limit"]);
  const callsHelp = "Calls of the REST API by operation and code of the answer (0 is success)";
  const calls = counter("api_calls_total", callsHelp, ["operation", "code"]);
  const uploadedBytes = counter("uploaded_bytes_total", "Bytes of images that were uploaded");
  read("uploads_running", "Uploads in progress", (from) => from.uploads());
  read("slice_uploads", "Uploads in slices that are not complete", (from) => from.sliceUploads());
  const fills = counter("fills_total", "Fetches from origins that were started");
  const collapsed = counter("collapsed_total", "Requests that joined a running fetch");
  const refreshesHelp = "Revalidations of stored images by outcome (current, new, gone, removed, suspect, failed)";
  const refreshes = counter("refreshes_total", refreshesHelp, ["outcome"]);
  const failovers = counter("failovers_total", "Fetches that moved to the next origin because one had failed");
  const refused = counter("refused_total", "Fetches that stored nothing, by reason (error code, suspect, max_keys)", [
    "reason",
  ]);
  const stored = counter("stored_total", "Images stored by the mirror");
  const storedBytes = counter("stored_bytes_total", "Bytes stored by the mirror");
  const notStored = counter("not_stored_total", "Whole images that could not be stored, by error code", ["reason"]);
  for (const reason of NOT_STORED) notStored.inc({ reason }, 0);
  const callbacks = counter("callbacks_total", "Attempts to send a callback notice, by outcome", ["outcome"]);
  const lostNotices = counter("notices_lost_total", "Callback notices that failed and could not be stored for a retry");
  const owedHelp = "Callback notices that are not delivered, by state (waiting for a retry, given-up)";
  readAll("notices_owed", owedHelp, ["state"], async (from) => {
    const counts = await from.outboxCounts();
    if (counts === undefined) return [];
    const countOf = (state: OutboxState) =>
      counts.reduce((sum, each) => (each.state === state ? sum + each.count : sum), 0);
    return OUTBOX_STATES.map((state) => [{ state }, countOf(state)]);
  });
  const originSeconds = histogram(
    "origin_seconds",
    "Seconds from the first dial to the origin's response head",
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  );
  const retriesHelp = "Requests to an origin that were retried before any byte of the response was used";
  const retries = counter("origin_retries_total", retriesHelp);
  ofOrigin("breaker", "Circuit breaker of an origin: 0 closed, 1 half-open, 2 open", ({ state }) =>
    BREAKER_STATES.indexOf(state),
  );
  ofOrigin("running", "Requests to an origin whose response has not ended", ({ running }) => running);
  ofOrigin("waiting", "Requests that wait for an origin's connections or rate", ({ waiting }) => waiting);
  ofOrigin(
    "paused_seconds",
    "Seconds until a paused origin gets requests (Retry-After)",
    ({ pausedMs }) => pausedMs / 1_000,
  );
  const sharesHelp = "Part of maxKeys that keys with a query use, of each bucket beyond one half";
  readAll("max_keys_used_ratio", sharesHelp, ["bucket"], (from) => {
    const shares = from.keyBudgets().map((budget) => [{ bucket: budget.bucketId }, budget.share()] as const);
    return shares.filter(([, share]) => share > 0.5).sort(([, one], [, other]) => one - other);
  });
  const renderSeconds = histogram(
    "render_seconds",
    "Seconds of a render, from its start to its end",
    [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  );
  const renderFailures = counter("render_failures_total", "Renders that failed, by error code", ["code"]);
  const rendersCollapsed = counter("renders_collapsed_total", "Requests that joined a running render");
  const variantsStored = counter("variants_stored_total", "Processed images stored");
  const variantsNotStored = counter("variants_not_stored_total", "Processed images that could not be stored");
  read("renders_running", "Renders that are running", (from) => from.renders().running);
  read("renders_waiting", "Renders that wait for a slot (limits.renders)", (from) => from.renders().waiting);
  read("fills_running", "Fetches that are running", (from) => from.fills());
  read("storing_depth", "Images that wait to be stored", (from) => from.storing().depth);
  const ageHelp = "Age of the oldest image that waits to be stored; grows if the store is too slow";
  read("storing_age_seconds", ageHelp, (from) => from.storing().oldestMs / 1_000);
  const attachedHelp = "Whether this node knows the changes of the other nodes (1 or 0); none without `coordination`";
  read("cluster_attached", attachedHelp, (from) => {
    const isAttached = from.isAttached();
    return isAttached === undefined ? undefined : Number(isAttached);
  });
  const damagedHelp = "Uploaded images whose stored bytes are damaged: downloads of them get 500";
  read("damaged_objects", damagedHelp, (from) => from.damaged() ?? 0);
  const backupHelp = "Unix time of the last backup that started, succeeded, failed, or found damaged images (damaged)";
  readAll("backup_timestamp_seconds", backupHelp, ["event"], async (from) =>
    Object.entries(await from.backups()).map(([event, at]) => [{ event }, at / 1_000]),
  );
  const freeHelp = "Free bytes on the data folder's file system";
  read("disk_free_bytes", freeHelp, async (from) => (await from.disk())?.freeBytes);
  const minFreeHelp = "limits.freeDisk: nothing more is stored if fewer bytes are free";
  read("disk_min_free_bytes", minFreeHelp, async (from) => (await from.disk())?.minFreeBytes);
  read("ready", "Whether /readyz answers 200: 1 or 0", async (from) => Number(await from.isReady()));
  read("memory_tier_bytes", "Bytes of images in the memory cache", (from) => from.memory().bytes);
  read("memory_tier_objects", "Images in the memory cache", (from) => from.memory().objects);
  read("spool_memory_bytes", "Bytes of arriving images in memory", (from) => from.spool().bytes);
  read("spools", "Arriving images, in memory and on disk", (from) => from.spool().spools);
  read("event_loop_lag_seconds", "99th percentile of the event loop's delay since the last scrape", () => {
    // The histogram measures from timer to timer, so its own interval is subtracted.
    const lag = Math.max(0, loopDelay.percentile(99) / 1e9 - LOOP_RESOLUTION_MS / 1_000);
    loopDelay.reset();
    return lag;
  });

  // prom-client's default metrics are not used: their garbage collection observer costs 3 µs a request.
  readCounter("process_cpu_seconds_total", "User and system CPU time of the process, in seconds", [], () => {
    const { user, system } = process.cpuUsage();
    return [[{}, (user + system) / 1e6]];
  });
  read("process_resident_memory_bytes", "Resident memory of the server, without render processes", () =>
    process.memoryUsage.rss(),
  );
  read("heap_used_bytes", "JavaScript heap in use", () => process.memoryUsage().heapUsed);
  let reload = { isApplied: true, at: Date.now() / 1_000 };
  read("reload_successful", "1 if the settings that were read last are in force, 0 if they were refused", () =>
    reload.isApplied ? 1 : 0,
  );
  const reloadHelp = "Unix time at which the settings were read, at the start or by the last reload";
  read("reload_timestamp_seconds", reloadHelp, () => reload.at);
  const startedAt = Date.now() / 1_000 - process.uptime();
  read("process_start_time_seconds", "Unix time of the process's start", () => startedAt);

  return {
    mirror: {
      fillStarted: () => fills.inc(),
      collapsed: () => collapsed.inc(),
      failedOver: () => failovers.inc(),
      retried: () => retries.inc(),
      revalidated: (outcome) => refreshes.inc({ outcome }),
      originAnswered: (milliseconds) => originSeconds.observe(milliseconds / 1_000),
      refused: (reason) => refused.inc({ reason }),
      stored(bytes) {
        stored.inc();
        storedBytes.inc(bytes);
      },
      notStored: (reason) => notStored.inc({ reason }),
    },
    callbacks: {
      attempted: (outcome) => callbacks.inc({ outcome }),
      lost: () => lostNotices.inc(),
    },
    variants: {
      collapsed: () => rendersCollapsed.inc(),
      stored: () => variantsStored.inc(),
      notStored: () => variantsNotStored.inc(),
      rendered: (milliseconds) => renderSeconds.observe(milliseconds / 1_000),
      failed: ({ code }) => renderFailures.inc({ code }),
    },
    answered({ outcome, errorCode, bodyBytes }) {
      const label = `${outcome.kind} ${outcome.tier}`;
      requests.set(label, (requests.get(label) ?? 0) + 1);
      if (errorCode !== undefined) countError(errorCode);
      if (outcome.kind === "hit") savedBytes += bodyBytes;
      else fetchedBytes += bodyBytes;
    },
    fastPathHit() {
      fastPathHits += 1;
    },
    called({ name, code, bytes }) {
      calls.inc({ operation: name, code: code ?? "client_gone" });
      uploadedBytes.inc(bytes);
    },
    limited: (limit) => limited.inc({ limit }),
    settingsRead(isApplied) {
      reload = { isApplied, at: Date.now() / 1_000 };
    },
    refused: countError,
    requests: () => requestTotals().reduce((sum, { count }) => sum + count, 0),
    totals: () => ({ requests: requestTotals(), errors, bytes: savedBytes + fetchedBytes, savedBytes }),
    async valuesOf(name, from) {
      sources = from;
      return (await registry.getSingleMetric(name)?.get())?.values ?? [];
    },
    // prom-client's own type leaves these fields out.
    series: registry.getMetricsAsArray() as unknown as readonly Series[],
    async scrape(from) {
      sources = from;
      // Registry.metrics() would write all series in one turn of the event loop.
      const pause = createPauses();
      let text = "";
      for (const { name } of registry.getMetricsAsArray()) {
        text += `${text && "\n"}${await registry.getSingleMetricAsString(name)}\n`;
        await pause();
      }
      return { mediaType: registry.contentType, text };
    },
    stop: () => void loopDelay.disable(),
  };
}

// Part of the composition root: turns the origin settings into the Origins of mirrors. Mirrors with equal origin
// settings share connections, budgets and breakers, and a reload keeps the unchanged ones.
import { performance } from "node:perf_hooks";
import { createReloadCache } from "../../async/reload-cache.ts";
import type { Semaphore } from "../../async/semaphore.ts";
import type { Log } from "../../core/log.ts";
import { readVersion } from "../../core/version.ts";
import type { MirrorSettings, OriginSettings, SiteOriginSettings } from "../../settings/schema/schema.ts";
import { fingerprintOf } from "../../settings/secrets.ts";
import { createFailover } from "../mirror/fill/failover.ts";
import type { MirrorMeter } from "../mirror/meter.ts";
import type { BrotliWindows } from "../origin/exchange/decoded-body.ts";
import { type Breaker, createBreaker } from "../origin/guard/breaker.ts";
import { type Budget, type BudgetRules, createBudget } from "../origin/guard/budget.ts";
import { guardOrigin, type OriginReport, reportOf } from "../origin/guard/guarded.ts";
import { createOriginRecord, type OriginRecord } from "../origin/guard/record.ts";
import { createHttpOrigin } from "../origin/kinds/http-origin.ts";
import type { HttpOriginRules } from "../origin/kinds/http-rules.ts";
import { createProbe, type Probe, type ProbeOptions } from "../origin/kinds/probe.ts";
import { qiniuRules } from "../origin/kinds/qiniu.ts";
import { s3Rules } from "../origin/kinds/s3.ts";
import { siteRules } from "../origin/kinds/site.ts";
import type { Origin } from "../origin/origin.ts";

export interface OriginParts {
  readonly log: Log;
  readonly meter: Pick<MirrorMeter, "failedOver" | "retried">;
  /** Names this server in Via and CDN-Loop. */
  readonly serverId: string;
  /** The fetches of the program. */
  readonly fetches: Semaphore;
  /** Adds to a budget what another process that requests the same origins wants. `id`: as in budget(). */
  readonly shared?: ((budget: Budget, id: string) => Budget) | undefined;
}

export interface OriginRegistry {
  /** The origins of a mirror source as one Origin. Call it at every reload, also for an unchanged mirror. */
  originOf(source: MirrorSettings): Origin;
  /** `named`: the origins in force, one row for each name. */
  report(named: Iterable<OriginSettings>): Iterable<OriginReport>;
  /** The budget of an origin, by a digest of its settings: the same in each process that has them. */
  budget(id: string): Budget | undefined;
  /** As in ReloadCache. The connections of forgotten origins end when they have been idle for a while. */
  keep(): void;
  /** Waits for running requests. */
  close(): Promise<void>;
}

export function createOriginRegistry(parts: OriginParts): OriginRegistry {
  const origins = createReloadCache<Origin>();
  const budgets = createReloadCache<Budget>();
  const breakers = createReloadCache<Breaker>();
  const records = createReloadCache<OriginRecord>();
  const now = () => performance.now();
  const { log, fetches } = parts;
  const shared = { windows: { bytes: 0 }, userAgent: `Huiyuan/${readVersion()}` };

  function guarded(settings: OriginSettings, source: MirrorSettings): Origin {
    // Standby, weight and request rates do not change the origin itself.
    const { standby: _, weight: __, connections, requestsPerSecond, ...place } = settings;
    const bounds = { connections, requestsPerSecond };
    const name = nameOf(settings);
    const { breaker: rules, timeouts } = source;
    const at = fingerprintOf(place);
    const origin = origins.take(fingerprintOf(at, bounds, timeouts), () => makeOrigin(settings, source, parts, shared));
    const id = fingerprintOf(at, bounds);
    const budget = budgets.take(id, () => {
      const own = createBudget({ rules: bounds, fetches, name, now, log });
      return parts.shared?.(own, id) ?? own;
    });
    const breaker = breakers.take(fingerprintOf(at, rules), () =>
      createBreaker({
        rules: { failures: rules.failures, withinMs: rules.within, openMs: rules.open },
        name,
        now,
        log,
      }),
    );
    const record = records.take(at, () => createOriginRecord({ name, now, time: Date.now }));
    return guardOrigin(origin, { breaker, budget, record, waitMs: timeouts.firstByte });
  }

  return {
    originOf(source) {
      return createFailover({
        candidates: source.origins.map((settings) => ({
          origin: guarded(settings, source),
          weight: settings.weight,
          isStandby: settings.standby,
        })),
        failoverOn: source.failoverOn,
        random: Math.random,
        isTransparent: source.transparentErrors,
        onFailover: parts.meter.failedOver,
      });
    },
    budget: budgets.get,
    report: (named) => reportOf(rulesByName(named), budgets.values(), breakers.values(), records.values()),
    keep() {
      for (const cache of [origins, budgets, breakers, records]) cache.keep();
    },
    async close() {
      await Promise.all(origins.values().map((origin) => origin.close()));
    },
  };
}

function rulesByName(named: Iterable<OriginSettings>): ReadonlyMap<string, BudgetRules> {
  const rules = new Map<string, BudgetRules>();
  for (const settings of named) {
    const name = nameOf(settings);
    if (!rules.has(name)) rules.set(name, settings);
  }
  return rules;
}

function makeOrigin(
  settings: OriginSettings,
  { timeouts }: MirrorSettings,
  parts: OriginParts,
  shared: { readonly windows: BrotliWindows; readonly userAgent: string },
): Origin {
  const { serverId, log, meter } = parts;
  const { allowPrivate, connections } = settings;
  const options = { allowPrivate, connections, timeouts, serverId, log, onRetry: meter.retried, ...shared };
  return createHttpOrigin(options, rulesOf(settings));
}

/** Sends single requests to an origin of the settings, with its headers and credentials. Throws settings_invalid. */
export function probeOrigin(settings: OriginSettings, options: Omit<ProbeOptions, "allowPrivate">): Probe {
  return createProbe({ ...options, allowPrivate: settings.allowPrivate }, rulesOf(settings));
}

function rulesOf(settings: OriginSettings): HttpOriginRules {
  switch (settings.type) {
    case "site":
      return siteRules({ ...settings, headers: siteHeaders(settings) });
    case "qiniu":
      return qiniuRules(settings);
    case "s3":
      return s3Rules(settings);
  }
}

function siteHeaders({ headers, basicAuth }: SiteOriginSettings): Readonly<Record<string, string>> {
  if (basicAuth === undefined) return headers;
  const credentials = Buffer.from(`${basicAuth.username}:${basicAuth.password}`).toString("base64");
  return { ...headers, Authorization: `Basic ${credentials}` };
}

/** Name for the log, the metrics and the console; without credentials. */
export function nameOf(settings: OriginSettings): string {
  switch (settings.type) {
    case "site":
      return settings.url;
    case "qiniu":
      return settings.domain;
    case "s3":
      return [settings.endpoint || settings.preset || "s3", settings.region, settings.bucket].filter(Boolean).join("/");
  }
}

// The context of one mirror: its bucket, origin and settings, the services of the program, and the state that its parts
// share. Made once for each mirror; it fetches nothing.

import type { Log } from "../../core/log.ts";
import type { SpoolPool } from "../body/spool/spool-pool.ts";
import { viaValueOf } from "../origin/exchange/request-head.ts";
import type { Origin, OriginAnswer } from "../origin/origin.ts";
import { createFailureLog, type FailureLog } from "./failure-log.ts";
import type { FillContext } from "./fill/fill.ts";
import type { FillLeases } from "./fill/lease.ts";
import type { RequestTimeouts } from "./fill/reader.ts";
import { mayBeStored } from "./freshness/freshness.ts";
import type { KeyBudget } from "./key-budget.ts";
import type { MirrorMeter } from "./meter.ts";
import { createNegativeCache, type NegativeCache } from "./negative-cache.ts";
import type { PolicyRules } from "./policy.ts";
import type { Stored } from "./stored/stored.ts";
import type { WriteBack } from "./storing/write-back.ts";

/** The bucket, the origin and the settings of one mirror. */
export interface MirrorOptions extends Pick<FillContext, "formats">, PolicyRules {
  readonly stored: Stored;
  /** One origin, or several as one (failover.ts). Its owner closes it. */
  readonly origin: Origin;
  /** The smallest number of connections of its origins. Background revalidations use at most half of it. */
  readonly connections: number;
  readonly headMiss: "origin" | "store";
  readonly timeouts: RequestTimeouts;
  readonly maxObjectBytes: number;
  /** Consulted before an object is stored; undefined if no key has a query. */
  readonly keyBudget?: KeyBudget | undefined;
}

/** The services that all mirrors of a program share. */
export interface MirrorParts {
  readonly spools: SpoolPool;
  readonly writeBack: WriteBack;
  readonly meter: MirrorMeter;
  readonly log: Log;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** A clock that never steps, for entries that expire; default performance.now. */
  readonly ticks?: () => number;
  /** Names this server in Via and CDN-Loop. */
  readonly serverId: string;
  /** The leases of the other nodes; undefined if there are none. */
  readonly leases?: FillLeases | undefined;
  /** Ends every fill and render: the program is stopping. */
  readonly signal: AbortSignal;
}

export interface MirrorContext {
  readonly options: MirrorOptions;
  readonly parts: MirrorParts;
  /** As performance.now(). */
  readonly ticks: () => number;
  /** The value that this server adds to Via. */
  readonly viaValue: string;
  readonly fills: FillContext;
  readonly negativeCache: NegativeCache;
  readonly failures: FailureLog;
  /** Whether the origin allows to store its answer. */
  readonly isStorable: (answer: Pick<OriginAnswer, "life">) => boolean;
}

/** A node waits at most so long for another one's fetch. Milliseconds. */
const MAX_LEASE_WAIT_MS = 5_000;

export function createMirrorContext(options: MirrorOptions, parts: MirrorParts): MirrorContext {
  const { stored, origin, maxObjectBytes: maxBytes, formats } = options;
  const { spools, meter, log, now, ticks = performance.now.bind(performance), signal } = parts;
  const waitMs = Math.min(MAX_LEASE_WAIT_MS, options.timeouts.firstByte);
  const leases = parts.leases && { take: parts.leases.take, bucketId: stored.bucketId, waitMs };
  return {
    options,
    parts,
    ticks,
    viaValue: viaValueOf(parts.serverId),
    fills: { origin, spools, maxBytes, formats, meter, now, signal, leases },
    negativeCache: createNegativeCache(options, ticks),
    failures: createFailureLog(log, { bucket: stored.bucketId }),
    isStorable: ({ life }) => mayBeStored(life, options.freshness),
  };
}

// The context of one mirror: its bucket, origin and settings, the services of the program, and the state that its parts
// share. Made once for each mirror; it fetches nothing.
import type { SpoolPool } from "../body/spool/spool-pool.ts";
import type { Log } from "../core/log.ts";
import { viaValueOf } from "../origin/exchange/via-headers.ts";
import type { Origin, OriginAnswer } from "../origin/origin.ts";
import { createFailureLog, type FailureLog } from "./failure-log.ts";
import { createAdmission } from "./fill/admission.ts";
import type { FillContext } from "./fill/fill.ts";
import { createQueuedSemaphore, type FillLimit } from "./fill/fill-limit.ts";
import type { RequestTimeouts } from "./fill/reader.ts";
import type { KeyBudget } from "./key-budget.ts";
import type { MirrorMeter } from "./meter.ts";
import { createNegativeCache, type NegativeCache, type NegativeCacheRules } from "./negative-cache.ts";
import { isStorable, type PolicyRules } from "./policy.ts";
import type { Stored } from "./stored/stored.ts";
import { createInvalidation } from "./storing/invalidate.ts";
import type { Invalidation } from "./storing/pending-writes.ts";
import type { WriteBack } from "./storing/write-back.ts";

/** The bucket, the origin and the settings of one mirror. */
export interface MirrorOptions extends Pick<FillContext, "formats" | "openGate">, NegativeCacheRules, PolicyRules {
  readonly stored: Stored;
  /** One origin, or several as one (failover.ts). Its owner closes it. */
  readonly origin: Origin;
  /** Concurrent fetches of this mirror; further ones wait for at most `timeouts.firstByte`. */
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
  readonly fillLimit: FillLimit;
  readonly meter: MirrorMeter;
  readonly log: Log;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** A clock that never steps, for entries that expire; default performance.now. */
  readonly ticks?: () => number;
  /** Names this server in Via and CDN-Loop. */
  readonly serverId: string;
  /** Ends every fill: the program is stopping. */
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
  /** Gives up the pending writes of a key that the origin has withdrawn. Never throws. */
  readonly invalidate: (invalidation: Invalidation) => void;
  /** Whether the origin allows to store its answer. */
  readonly isStorable: (answer: OriginAnswer) => boolean;
}

const MAX_WAITING = 1_000;

export function createMirrorContext(options: MirrorOptions, parts: MirrorParts): MirrorContext {
  const { stored, origin, connections, timeouts, maxObjectBytes: maxBytes, formats, openGate } = options;
  const { spools, writeBack, fillLimit, meter, log, now, ticks = () => performance.now(), signal } = parts;
  const queue = createQueuedSemaphore({ slots: connections, maxWaiting: MAX_WAITING, waitMs: timeouts.firstByte });
  const admission = createAdmission({ queue, fillLimit, signal });
  return {
    options,
    parts,
    ticks,
    viaValue: viaValueOf(parts.serverId),
    fills: { admission, origin, spools, maxBytes, formats, openGate, meter, now, signal },
    negativeCache: createNegativeCache(options, ticks),
    failures: createFailureLog(log, { bucket: stored.bucketId }),
    invalidate: createInvalidation({ stored, writeBack, log }),
    isStorable: (answer) => isStorable(answer, options),
  };
}

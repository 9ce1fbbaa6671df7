// The mirror source of a domain: what is done for a key that the bucket lacks. Joins or starts the fill of the key; what
// becomes of that is fill-effects.ts. The bucket is asked first, by the caller (stored.ts).
// The file is long because the wiring of all parts of a mirror stands in one place.

import type { Cancellation } from "../async/cancellation.ts";
import { LiveMap } from "../async/live-map.ts";
import type { SpoolPool } from "../body/spool/spool-pool.ts";
import { asHuiyuanError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import { appendViaHeaders, viaValueOf } from "../origin/exchange/via-headers.ts";
import type { Origin } from "../origin/origin.ts";
import { createFailureLog } from "./failure-log.ts";
import { createAdmission } from "./fill/admission.ts";
import { describeFetched } from "./fill/describe-fetched.ts";
import {
  type BodyFacts,
  type Fill,
  type FillEnd,
  type FillHead,
  type FillParts,
  isDesynced,
  startFill,
} from "./fill/fill.ts";
import { createFillEffects } from "./fill/fill-effects.ts";
import { createHeads, type HeadRequest } from "./fill/heads.ts";
import { type Join, joinFill, type MissAnswer, type Patience } from "./fill/join.ts";
import { createQueuedSemaphore } from "./fill/semaphore.ts";
import type { FillLimit } from "./fill/slots.ts";
import type { TransientRoom } from "./fill/transient.ts";
import { type FreshnessRules, mayBeStored } from "./freshness/freshness.ts";
import { createRevalidation, type Revalidation, type RevalidationRequest } from "./freshness/revalidation.ts";
import type { RevalidationOutcome, StaleKept } from "./freshness/revalidation-outcome.ts";
import { createStoreDecision, type KeyBudget } from "./key-budget.ts";
import type { MirrorMeter } from "./meter.ts";
import { createNegativeCache, fetchOf, type NegativeCacheRules } from "./negative-cache.ts";
import { createPreviews, type PreviewedMiss, type Previews } from "./preview.ts";
import { fillId, type OriginRequest } from "./rules.ts";
import type { Stored, StoredObject } from "./stored/stored.ts";
import { createInvalidation } from "./storing/invalidate.ts";
import type { WriteBack } from "./storing/write-back.ts";

export interface MissRequest extends HeadRequest {
  readonly method: "GET" | "HEAD";
  /** Nothing is read before the end: a fill whose beginning is no longer kept will do. */
  readonly isPatient?: boolean | undefined;
  /** Follower.whole() alone is asked. */
  readonly wantsWhole?: boolean | undefined;
}

export interface Mirror {
  /** Throws not_found, overloaded, draining and the codes of Origin.fetch and of the gate. */
  fetch(request: MissRequest): Promise<MissAnswer>;
  /** What is stored: whether it may be served, and asking for it again behind the client's back. */
  readonly revalidation: Omit<Revalidation, "ask" | "pending" | "lookAt" | "mayServeStale">;
  /** What the two below would do. */
  readonly preview: Previews;
  /**
   * Asks the origin for something newer than a stored object and waits. `kept`: the stored one is to be served, looked up
   * again. `mayHelp`: so too where nothing better comes. Throws as fetch() does.
   */
  revalidate(object: StoredObject, request: RevalidateRequest): Promise<MissAnswer | StaleKept>;
  /** Resolves when what runs for this request has ended, and its image is stored or given up. */
  settled(request: OriginRequest): Promise<void>;
  /** Begins a fill that nobody waits for, unless one runs or the origin need not be asked. Never throws. */
  begin(request: Omit<MissRequest, "method" | "signal">): void;
  /** Fills that run or wait to be stored. */
  readonly running: number;
  /** Resolves when no origin is asked or waited for; requests that come meanwhile are waited for too. */
  idle(): Promise<void>;
}

export interface RevalidateRequest extends RevalidationRequest {
  readonly signal: Cancellation;
  readonly mayServeStale: boolean;
}

export interface MirrorOptions extends Pick<FillParts, "formats" | "openGate">, NegativeCacheRules {
  readonly stored: Stored;
  /** One place, or several as one (failover.ts). Its owner closes it. */
  readonly origin: Origin;
  /** Fetches of this mirror at once; more wait for at most `timeouts.firstByte`. */
  readonly connections: number;
  readonly headMiss: "origin" | "store";
  readonly suspects: "pass" | "keep";
  /** Undefined: what is stored never ages. */
  readonly freshness: FreshnessRules | undefined;
  /** What a 404 or 410 does to a stored object. */
  readonly onGone: "keep" | "remove";
  readonly timeouts: Patience;
  readonly maxObjectBytes: number;
  /** Asked before an object is stored; undefined where no key has a query. */
  readonly keyBudget?: KeyBudget | undefined;
}

/** What all mirrors of a program share. */
export interface MirrorParts {
  readonly spools: SpoolPool;
  readonly transients: TransientRoom;
  readonly writeBack: WriteBack;
  readonly slots: FillLimit;
  readonly meter: MirrorMeter;
  readonly log: Log;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** What is remembered for a while goes by it; default performance.now. */
  readonly ticks?: () => number;
  /** Names this server in Via and CDN-Loop. */
  readonly serverId: string;
  /** Ends every fill: the program is stopping. */
  readonly signal: AbortSignal;
}

const MAX_WAITING = 1_000;

export function createMirror(options: MirrorOptions, parts: MirrorParts): Mirror {
  const { stored, origin, timeouts, connections: places } = options;
  const { spools, transients, slots, meter, log, now, ticks = () => performance.now(), signal } = parts;
  const queue = createQueuedSemaphore({ places, maxWaiting: MAX_WAITING, waitMs: timeouts.firstByte });
  const admission = createAdmission({ queue, slots, signal });
  /** `settled`: what it brought is stored or given up. */
  const fills = new LiveMap<string, { readonly fill: Fill; readonly settled: Promise<void> }>();
  const mark = viaValueOf(parts.serverId);
  const negativeCache = createNegativeCache(options, ticks);
  const failures = createFailureLog(log, { bucket: stored.bucketId });
  const revalidation = createRevalidation({
    ...options,
    ...parts,
    ticks,
    failures,
    admission,
    rules: options.freshness,
    // Clients that wait for what is missing come first.
    places: Math.max(1, Math.floor(places / 2)),
  });
  const invalidate = createInvalidation({ ...parts, stored });
  const { maxObjectBytes: maxBytes } = options;
  const heads = createHeads({ ...options, ...parts, admission, negativeCache, invalidate, maxBytes });
  const mayStore = createStoreDecision(options.keyBudget, meter);
  const isStorable = ({ answer }: FillHead) => mayBeStored(answer.life, options.freshness);
  const effects = createFillEffects({
    ...options,
    ...parts,
    ticks,
    invalidate,
    negativeCache,
    failures,
    isStorable,
    mayStore,
  });
  const { lookAt } = revalidation;
  const isRunning = (request: PreviewedMiss) => runningFor(request) !== undefined;
  const preview = createPreviews({ mark, origin, headMiss: options.headMiss, negativeCache, isRunning, lookAt });

  function refuseIfKnown(request: MissRequest): void {
    negativeCache.refuseIfKnown(fetchOf(request));
    // Before a place is waited for: those that wait for a dead origin hold them all.
    const refusal = origin.refusal?.();
    if (refusal === undefined) return;
    meter.refused(refusal.code);
    throw refusal;
  }

  /** The key's fill, unless it began before the key was deleted, purged or written, or what it has brought is too old by now. */
  function runningFor(request: PreviewedMiss): Fill | undefined {
    const fill = fills.get(fillId(request))?.fill;
    if (fill === undefined || fill.epoch < request.epoch) return undefined;
    const { end } = fill;
    if (isDesynced(end)) return undefined;
    return end === undefined || !("head" in end) || revalidation.isFreshAnswer(end.head) ? fill : undefined;
  }

  /** One that still has all that the request will read. */
  function joinableFor(request: MissRequest): Fill | undefined {
    const fill = runningFor(request);
    const isEnough = request.isPatient || (request.wantsWhole && fill?.transient?.isUnderWay);
    return isEnough || fill?.spool?.hasAll() !== false ? fill : undefined;
  }

  function start(request: MissRequest): Fill {
    const { key, isStored, epoch, path, query, headers, followsRedirects, via, cdnLoop } = request;
    const id = fillId(request);
    const askedAt = now();
    const describe = (head: FillHead, body: BodyFacts) => describeFetched({ key, head, body, now: now() });
    const { formats, openGate } = options;
    const fill = startFill({
      id,
      key,
      isStored,
      epoch,
      askedAt,
      path,
      query,
      headers,
      followsRedirects,
      via,
      cdnLoop,
      formats,
      openGate,
      admission,
      origin,
      spools,
      transients,
      maxBytes,
      describe,
      meter,
      signal,
    });
    fills.set(id, { fill, settled: fill.done.then((end) => settle(fill, end, askedAt)) });
    return fill;
  }

  async function settle(fill: Fill, end: FillEnd, askedAt: number): Promise<void> {
    await effects.settle(fill, end, askedAt);
    if (fills.get(fill.id)?.fill === fill) fills.delete(fill.id);
  }

  const join = (fill: Fill, how: Join, client: Cancellation) =>
    joinFill(fill, how, { timeouts, client, isStorable, mayStore });

  /** Its key is stored already. */
  const joinRevalidation = (
    { fill, how }: Extract<RevalidationOutcome, { readonly kind: "new" }>,
    client: Cancellation,
  ) => joinFill(fill, how, { timeouts, client, isStorable, mayStore: () => true });

  function joinRunning(fill: Fill, client: Cancellation): Promise<MissAnswer> {
    if (fill.end !== undefined) return join(fill, "after", client);
    meter.collapsed();
    return join(fill, "collapsed", client);
  }

  /** Everything that needs the origins now. */
  function pending(): Promise<unknown>[] {
    const running = fills
      .values()
      .filter(({ fill }) => fill.end === undefined)
      .map(({ fill }) => fill.done);
    return [...running, ...heads.pending(), ...revalidation.pending()];
  }

  async function fetchOnce(request: MissRequest): Promise<MissAnswer> {
    const running = joinableFor(request);
    if (running !== undefined) return joinRunning(running, request.signal);
    refuseIfKnown(request);
    if (request.method === "HEAD" && options.headMiss === "origin") {
      const answer = await heads.ask(request);
      if (answer !== undefined) return answer;
    }
    // Another request may have begun the fill while the origin was asked.
    const begun = joinableFor(request);
    return begun === undefined ? join(start(request), "first", request.signal) : joinRunning(begun, request.signal);
  }

  /** As what is stored helps out: where it is too old to be served unasked, and the origin has failed, or has none any more. */
  async function helpOut(request: MissRequest, error: unknown): Promise<MissAnswer> {
    const waits = request.isStored && !request.signal.aborted ? stored.waiting.newest(request) : undefined;
    const isGone = asHuiyuanError(error).code === "not_found";
    const helps = isGone ? options.onGone === "keep" : waits !== undefined && revalidation.mayServeStale(waits);
    if (waits === undefined || !helps) throw error;
    return join(waits.fill, isGone ? "gone" : "failed", request.signal);
  }

  return {
    async fetch(request) {
      // Before a fill is joined: the fill may be what waits for this very request.
      appendViaHeaders(request, mark);
      if (stored.waiting.size === 0) return fetchOnce(request);
      return fetchOnce(request).catch((error: unknown) => helpOut(request, error));
    },
    revalidation,
    preview,
    async revalidate(object, request) {
      appendViaHeaders(request, mark);
      const { mayServeStale, signal: client } = request;
      const refreshed = await revalidation.ask(object, request, {
        mayServeStale,
        signal: client,
        patienceMs: timeouts.total,
      });
      return refreshed.kind === "kept" ? refreshed : joinRevalidation(refreshed, client);
    },
    async settled(request) {
      await fills.get(fillId(request))?.settled;
    },
    begin(request) {
      const miss = { ...request, method: "GET", signal } as const;
      try {
        appendViaHeaders(miss, mark);
        if (runningFor(miss) !== undefined) return;
        refuseIfKnown(miss);
        start(miss);
      } catch (err) {
        log.debug({ bucket: stored.bucketId, key: request.key, err }, "an image was not fetched behind an answer");
      }
    },
    get running() {
      return fills.size;
    },
    async idle() {
      for (let left = pending(); left.length > 0; left = pending()) await Promise.allSettled(left);
    },
  };
}

// Revalidates stored objects: one conditional request a key, counted like any other fetch. Only a whole, sound and
// different image replaces the last good one (stored-changes.ts). freshness.ts decides when a revalidation is due.
import { abortable, type Cancellation, withTimeout } from "../../../async/cancellation.ts";
import { LiveMap } from "../../../async/live-map.ts";
import { asHuiyuanError, HuiyuanError } from "../../../core/errors.ts";
import type { Key, ObjectInfo } from "../../../core/object.ts";
import type { OriginTarget, Validators } from "../../origin/origin.ts";
import { createExpiring } from "../expiring.ts";
import { Fill } from "../fill/fill.ts";
import type { FillEnd } from "../fill/fill-end.ts";
import { isByOtherNode, outcomeOf as outcomeOfFetch } from "../fill/lease.ts";
import type { Late } from "../fill/reader.ts";
import type { MirrorContext } from "../mirror-context.ts";
import { absent } from "../negative-cache.ts";
import {
  isBroken,
  isPauseForAll,
  type PausingEnd,
  pauseMs,
  revalidationKind,
  servedAfter,
  withdrawalBy,
} from "../policy.ts";
import type { ServableWrite } from "../stored/pending-writes.ts";
import type { StoredObject } from "../stored/stored.ts";
import { isLater } from "../stored/versions.ts";
import { type Ages, createAges, type Freshness } from "./freshness.ts";
import { createRevalidationEffects, type RevalidationEnd, type StoredEntry } from "./revalidation-effects.ts";

/** The request to the origin that revalidates a stored object. */
export interface RevalidationRequest extends OriginTarget {
  readonly key: Key;
  readonly via: string | undefined;
  readonly cdnLoop: string | undefined;
}

/**
 * The stored object is looked up again and served: the origin confirmed it, has no such object, or sent nothing usable.
 */
export interface StaleKept {
  readonly kind: "kept";
  readonly why: "current" | "gone" | "failed";
}

/**
 * `new`: the bytes of this fill, which has ended, are served; if `how` is late, they are a pending write of an earlier
 * one.
 */
export type RevalidationOutcome =
  | StaleKept
  | { readonly kind: "new"; readonly fill: Fill; readonly servedFrom: "first" | Late };

export interface RevalidateRequest extends RevalidationRequest {
  /** Aborts when the client leaves. */
  readonly signal: Cancellation;
  readonly mayServeStale: boolean;
}

export interface Revalidation extends Omit<Ages, "freshnessOf"> {
  /** As in freshness.ts, but an object is not served stale while a newer version of it is pending. */
  freshnessOf(object: StoredObject): Freshness;
  /** Whether a pending image is young enough to be served after the origin has failed. */
  mayServeStale(image: ServableWrite): boolean;
  /** Whether a pending image may be served without a request to the origin. */
  isFreshPending(image: ServableWrite): boolean;
  /** Revalidates in the background, unless that runs, has just failed, or too many revalidations run. */
  begin(object: StoredObject, request: RevalidationRequest): void;
  /**
   * Revalidates and waits for the result. With `mayServeStale` the stored object is served if nothing better arrives;
   * else this throws the codes of Mirror.fetch. Throws not_found if the origin has no such object and the stored one
   * was removed.
   */
  revalidate(object: StoredObject, request: RevalidateRequest): Promise<RevalidationOutcome>;
  /**
   * Whether a revalidation of the object runs, and its result if that is known without a request. Changes nothing.
   * `mayServeStored`: `mayServeStale` of revalidate().
   */
  peek(
    object: StoredObject,
    mayServeStored: boolean,
  ): { readonly isRunning: boolean; readonly outcome: RevalidationEnd | undefined };
  /** Revalidations that have no result yet. */
  pending(): readonly Promise<unknown>[];
}

/** A revalidation that runs. `epoch`: of the object when it began. */
interface Running {
  readonly epoch: number;
  readonly outcome: Promise<RevalidationEnd>;
}

const MAX_PAUSES = 10_000;

export function createRevalidation(context: MirrorContext): Revalidation {
  const { options, ticks, failures, isStorable } = context;
  const { stored, origin, freshness: rules } = options;
  const { now, meter, log } = context.parts;
  const running = new LiveMap<Key, Running>();
  const effects = createRevalidationEffects(context);
  const ages = createAges(rules, now, effects.confirmation);
  /** The ends that brought nothing usable, for as long as they pause the revalidation of their key. */
  const pauses = createExpiring<{ readonly epoch: number; readonly end: PausingEnd; readonly endedAt: number }>(
    MAX_PAUSES,
  );
  // Half of the places: clients that wait for a missing object come first.
  const maxInBackground = Math.max(1, Math.floor(options.connections / 2));
  let inBackground = 0;

  /** The revalidation of the key, unless it began before the key was purged or written. */
  function runningFor({ info, epoch }: StoredObject): Running | undefined {
    const found = running.get(info.key);
    return found === undefined || found.epoch < epoch ? undefined : found;
  }

  /** The result if the origin need not, or may not, be contacted now. */
  function knownEnd({ info, epoch }: StoredObject, mayServeStale: boolean): RevalidationEnd | undefined {
    const at = ticks();
    const pause = pauses.get(info.key, at);
    // A pause of an earlier epoch does not hold: after a purge the origin is contacted at once.
    if (pause !== undefined && pause.epoch >= epoch && (mayServeStale || isPauseForAll(pause.end, at - pause.endedAt)))
      return pause.end;
    const error = origin.refusal?.();
    return error === undefined ? undefined : { kind: "failed", error };
  }

  function pauseAfter({ key, epoch }: Fill, end: PausingEnd): void {
    const endedAt = ticks();
    pauses.set(key, { epoch, end, endedAt }, { now: endedAt, ttlMs: pauseMs(end, options) });
  }

  function start({ epoch }: StoredObject, request: RevalidationRequest): Running {
    let settled: Promise<unknown> = Promise.resolve();
    const run = async (): Promise<RevalidationEnd> => {
      try {
        const entry = await stored.bucket.lookup(request.key);
        // The object has changed since it was found: the caller looks it up again.
        if (entry.state !== "object" || entry.info.provenance.via !== "mirror") return { kind: "current" };
        const { outcome, over } = await fetchNewer(entry, request);
        settled = over;
        return outcome;
      } catch (error) {
        return { kind: "failed", error: asHuiyuanError(error) };
      }
    };
    const begun: Running = { epoch, outcome: run() };
    running.set(request.key, begun);
    void begun.outcome
      .then(() => settled)
      .finally(() => {
        if (running.get(request.key) === begun) running.delete(request.key);
      });
    return begun;
  }

  /** `over` resolves once the result can be found elsewhere: it is written, or it is a pending write. Never rejects. */
  async function fetchNewer(entry: StoredEntry, request: RevalidationRequest) {
    const { key, path, query, headers, followsRedirects, via, cdnLoop } = request;
    const { epoch } = entry;
    const requestedAt = now();
    const unless = validatorsOf(entry.info);
    const target = { path, query, headers, followsRedirects, via, cdnLoop };
    const fetch = stored.pendingWrites.begin(key);
    const about = { id: key, key, isStored: true, isShared: true, epoch, requestedAt, unless };
    const fill = new Fill({ ...about, ...target }, context.fills);
    fill.isAccepted = true; // The key is stored already, so the key budget does not apply.
    const end = await fill.done;
    if (isByOtherNode(end)) {
      stored.pendingWrites.end(fetch);
      return { outcome: { kind: "current" } as const, over: Promise.resolve() };
    }
    const told = outcomeOfFetch(end);
    if (told !== undefined) fill.lease?.end(told);
    const outcome = endOf(entry, fill, end);
    report(fill, outcome);
    const pausing = pausingEnd(outcome, key);
    if (pausing !== undefined) pauseAfter(fill, pausing);
    const withdrawal = withdrawalBy(end, options, outcome.kind === "current");
    if (withdrawal !== undefined) stored.pendingWrites.withdraw(fetch, withdrawal);
    const isNew = outcome.kind === "new" && end.kind === "whole" && isStorable(end.head.answer);
    const settling = effects.settle(entry, { fill, end, outcome, requestedAt, fetch });
    void settling.then((givenUp) => {
      stored.pendingWrites.end(fetch);
      // The other nodes read a new version, or the confirmed one, from the remote store.
      const isThere = isNew ? givenUp === undefined : outcome.kind === "current";
      fill.lease?.end({ kind: isThere ? "stored" : "unstored" });
      if (givenUp !== undefined) pauseAfter(fill, { kind: "failed", error: givenUp });
    });
    return { outcome, over: isNew ? Promise.resolve() : settling };
  }

  /** The pending write that will replace the object, unless the object has been replaced already. */
  function successorOf({ info, epoch }: StoredObject): ServableWrite | undefined {
    const newest = stored.pendingWrites.newest({ key: info.key, epoch });
    return newest !== undefined && isLater(newest.info, info) ? newest : undefined;
  }

  const freshnessOfPending = ({ info }: ServableWrite) => ages.freshnessOf({ info, isStale: false });
  const isFreshPending = (image: ServableWrite) => freshnessOfPending(image) === "fresh";
  const mayServeStale = (image: ServableWrite) => freshnessOfPending(image) !== "must-revalidate";

  function freshSuccessorOf(object: StoredObject): ServableWrite | undefined {
    const successor = successorOf(object);
    return successor !== undefined && isFreshPending(successor) ? successor : undefined;
  }

  /** Whether no further request is needed. */
  function isUnderWay(object: StoredObject): boolean {
    return runningFor(object) !== undefined || freshSuccessorOf(object) !== undefined;
  }

  /** Waits with the deadline of one client; the revalidation continues. */
  function inTime({ outcome }: Running, { key, signal }: RevalidateRequest): Promise<RevalidationEnd> {
    const { total } = options.timeouts;
    const message = `Cannot wait longer to revalidate "${key}": no answer in ${total} ms`;
    const timely = withTimeout(total, outcome, message, "origin_timeout");
    const late = (error: HuiyuanError) => ({ kind: "failed", error }) as const; // The outcome itself never rejects.
    return abortable(timely.catch(late), signal);
  }

  function report({ key }: Fill, outcome: RevalidationEnd): void {
    meter.revalidated(outcome.kind);
    const about = { bucket: stored.bucketId, key, ...(outcome.kind === "failed" ? { err: outcome.error } : {}) };
    const isRefused = outcome.kind === "suspect" || (outcome.kind === "failed" && isBroken(outcome.error));
    if (isRefused) failures.warn("not_replaced", about, "a new version was refused; the last good one stays");
    else log.debug(about, "revalidated a stored image");
  }

  function endOf({ info }: StoredEntry, fill: Fill, end: FillEnd): RevalidationEnd {
    if (end.kind === "failed") return end;
    const kind = revalidationKind(end, info.hashes.sha256, options);
    return kind === "new" || kind === "suspect" ? { kind, fill } : ({ kind } as RevalidationEnd);
  }

  return {
    ...ages,
    freshnessOf(object) {
      const freshness = ages.freshnessOf(object);
      return freshness === "stale" && successorOf(object) !== undefined ? "revalidate-first" : freshness;
    },
    mayServeStale,
    isFreshPending,
    begin(object, request) {
      if (inBackground >= maxInBackground || isUnderWay(object) || knownEnd(object, true) !== undefined) return;
      inBackground += 1;
      void start(object, request).outcome.then(() => {
        inBackground -= 1;
      });
    },
    async revalidate(object, request) {
      const { mayServeStale: mayServeStored } = request;
      const fresh = freshSuccessorOf(object);
      if (fresh !== undefined) return instead(fresh, "after");
      const joined = runningFor(object);
      if (joined !== undefined) meter.collapsed();
      const known = joined === undefined ? knownEnd(object, mayServeStored) : undefined;
      const answer = known ?? (await inTime(joined ?? start(object, request), request));
      const newest = ["failed", "suspect", "gone"].includes(answer.kind) ? successorOf(object) : undefined;
      if (newest !== undefined && answer.kind === "gone") return instead(newest, "gone");
      if (newest !== undefined && mayServeStale(newest)) return instead(newest, "failed");
      // An object whose successor is only not written yet is never served stale, whatever its own headers allow.
      return outcomeOf(request.key, answer, mayServeStored && newest === undefined);
    },
    peek(object, mayServeStored) {
      return { isRunning: isUnderWay(object), outcome: knownEnd(object, mayServeStored) };
    },
    pending: () => [...running.values()].map(({ outcome }) => outcome),
  };
}

/** The origin's last validators; undefined if it sent none, so that the whole body is requested. */
export function validatorsOf({ provenance }: ObjectInfo): Validators | undefined {
  const { originEtag: etag, originLastModified: lastModified } = provenance;
  return etag === undefined && lastModified === undefined ? undefined : { etag, lastModified };
}

/** The end without bytes, which later requests cannot use. Undefined: the object is, or will be, fresh. */
function pausingEnd(end: RevalidationEnd, key: Key): PausingEnd | undefined {
  if (end.kind === "suspect") {
    const error = new HuiyuanError("origin_truncated", `Cannot use the new version of "${key}": it is damaged`);
    return { kind: "failed", error };
  }
  if (end.kind === "new" && end.fill.end?.kind === "unstored") return { kind: "failed", error: end.fill.end.error };
  return end.kind === "failed" || end.kind === "gone" ? (end as PausingEnd) : undefined;
}

function outcomeOf(key: Key, end: RevalidationEnd, mayServeStale: boolean): RevalidationOutcome {
  const served = servedAfter(end.kind, mayServeStale);
  if (served === "new" && "fill" in end) return { kind: "new", fill: end.fill, servedFrom: "first" };
  if (served === "error") throw end.kind === "failed" ? end.error : absent(key);
  return { kind: "kept", why: end.kind === "current" || end.kind === "gone" ? end.kind : "failed" };
}

/** Serves the pending write instead of the stored object. */
function instead({ fill }: ServableWrite, servedFrom: Late): RevalidationOutcome {
  return { kind: "new", fill, servedFrom };
}

// The mirror of a domain: answers a key that the bucket lacks from the origin, and revalidates stored objects. One
// fetch serves all requests for a key. It does not look into the bucket first: the caller has done so (stored.ts).

import type { Cancellation } from "../async/cancellation.ts";
import { asHuiyuanError } from "../core/errors.ts";
import { appendViaHeaders } from "../origin/exchange/via-headers.ts";
import type { Fill } from "./fill/fill.ts";
import { createFillEffects } from "./fill/fill-effects.ts";
import { createHeads } from "./fill/heads.ts";
import { type Join, joinFill, type MissAnswer, type MissRequest } from "./fill/join.ts";
import { createRunningFills } from "./fill/running-fills.ts";
import type { RevalidationOutcome, StaleKept } from "./freshness/revalidation.ts";
import { createRevalidation, type Revalidation, type RevalidationRequest } from "./freshness/revalidation.ts";
import { createStoreDecision } from "./key-budget.ts";
import { createMirrorContext, type MirrorOptions, type MirrorParts } from "./mirror-context.ts";
import { fetchOf } from "./negative-cache.ts";
import { mayServePending } from "./policy.ts";
import { createPreviews, type Previews } from "./preview.ts";
import type { OriginRequest } from "./rules.ts";
import type { StoredObject } from "./stored/stored.ts";

export interface Mirror {
  /** Throws not_found, overloaded, draining and the codes of Origin.fetch and of the gate. */
  fetch(request: MissRequest): Promise<MissAnswer>;
  /** Whether stored objects are fresh, and revalidation in the background. */
  readonly revalidation: Omit<Revalidation, "revalidate" | "pending" | "peek" | "mayServeStale">;
  /** Shows how fetch() and revalidate() would handle a request. */
  readonly preview: Previews;
  /**
   * Revalidates a stored object and waits for the result. `kept`: the caller looks the stored object up again and
   * serves it. With `mayServeStale` that is also the result if nothing better is found. Throws as fetch() does.
   */
  revalidate(object: StoredObject, request: RevalidateRequest): Promise<MissAnswer | StaleKept>;
  /** Resolves once the fill of this request has ended and its image is stored or given up. */
  whenStored(request: OriginRequest): Promise<void>;
  /** Starts a fill in the background, unless one runs or the origin need not be contacted. Never throws. */
  begin(request: Omit<MissRequest, "method" | "signal">): void;
  /** Fills that run or wait to be stored. */
  readonly running: number;
  /** Resolves when no request to the origin runs or waits; requests that arrive in the meantime are included. */
  idle(): Promise<void>;
}

export interface RevalidateRequest extends RevalidationRequest {
  readonly signal: Cancellation;
  readonly mayServeStale: boolean;
}

export function createMirror(options: MirrorOptions, parts: MirrorParts): Mirror {
  const context = createMirrorContext(options, parts);
  const { stored, origin, timeouts, headMiss } = options;
  const { meter, log, signal } = parts;
  const { viaValue, negativeCache, isStorable } = context;
  const revalidation = createRevalidation(context);
  const heads = createHeads(context);
  const mayStore = createStoreDecision(options.keyBudget, meter);
  const effects = createFillEffects(context, mayStore);
  const fills = createRunningFills(context, { effects, isFreshAnswer: revalidation.isFreshAnswer });
  const preview = createPreviews(context, {
    isRunning: (request) => fills.find(request) !== undefined,
    peek: revalidation.peek,
  });

  function refuseIfKnown(request: MissRequest): void {
    negativeCache.refuseIfKnown(fetchOf(request));
    // Before the semaphore: requests that wait for a dead origin would hold all its slots.
    const refusal = origin.refusal?.();
    if (refusal === undefined) return;
    meter.refused(refusal.code);
    throw refusal;
  }

  const join = (fill: Fill, how: Join, client: Cancellation) =>
    joinFill(fill, how, { timeouts, client, isStorable, mayStore });

  /** The key is stored already, so the key budget does not apply. */
  const joinRevalidation = (
    { fill, how }: Extract<RevalidationOutcome, { readonly kind: "new" }>,
    client: Cancellation,
  ) => joinFill(fill, how, { timeouts, client, isStorable, mayStore: () => true });

  function joinRunning(fill: Fill, client: Cancellation): Promise<MissAnswer> {
    if (fill.end !== undefined) return join(fill, "after", client);
    meter.collapsed();
    return join(fill, "collapsed", client);
  }

  /** All requests to the origin that run or wait now. */
  const pending = (): Promise<unknown>[] => [...fills.pending(), ...heads.pending(), ...revalidation.pending()];

  async function fetchOnce(request: MissRequest): Promise<MissAnswer> {
    const running = fills.joinable(request);
    if (running !== undefined) return joinRunning(running, request.signal);
    refuseIfKnown(request);
    if (request.method === "HEAD" && headMiss === "origin") {
      const answer = await heads.fetch(request);
      if (answer !== undefined) return answer;
    }
    // Another request may have started the fill during the HEAD.
    const begun = fills.joinable(request);
    return begun === undefined
      ? join(fills.start(request), "first", request.signal)
      : joinRunning(begun, request.signal);
  }

  /**
   * Serves a pending image after a failed fetch, as a stored one would be: it was too old to be served without
   * revalidation.
   */
  async function servePending(request: MissRequest, error: unknown): Promise<MissAnswer> {
    const isPossible = request.isStored && !request.signal.aborted;
    const pendingWrite = isPossible ? stored.pendingWrites.newest(request) : undefined;
    if (pendingWrite === undefined) throw error;
    const { code } = asHuiyuanError(error);
    if (!mayServePending(code, revalidation.mayServeStale(pendingWrite), options)) throw error;
    return join(pendingWrite.fill, code === "not_found" ? "gone" : "failed", request.signal);
  }

  return {
    async fetch(request) {
      // Before a fill is joined: in a loop of servers that fill may be waiting for this very request.
      appendViaHeaders(request, viaValue);
      if (stored.pendingWrites.size === 0) return fetchOnce(request);
      return fetchOnce(request).catch((error: unknown) => servePending(request, error));
    },
    revalidation,
    preview,
    async revalidate(object, request) {
      appendViaHeaders(request, viaValue);
      const { mayServeStale, signal: client } = request;
      const outcome = await revalidation.revalidate(object, request, {
        mayServeStale,
        signal: client,
        timeoutMs: timeouts.total,
      });
      return outcome.kind === "kept" ? outcome : joinRevalidation(outcome, client);
    },
    whenStored: (request) => fills.whenStored(request),
    begin(request) {
      const miss = { ...request, method: "GET", signal } as const;
      try {
        appendViaHeaders(miss, viaValue);
        if (fills.find(miss) !== undefined) return;
        refuseIfKnown(miss);
        fills.start(miss);
      } catch (err) {
        log.debug({ bucket: stored.bucketId, key: request.key, err }, "an image was not fetched in the background");
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

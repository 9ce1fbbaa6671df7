// The mirror of a domain: answers a key that the bucket lacks from the origin, and revalidates stored objects. One
// fetch serves all requests for a key. It does not look into the bucket first: the caller has done so (stored.ts).

import type { Cancellation } from "../async/cancellation.ts";
import { LiveMap } from "../async/live-map.ts";
import { asHuiyuanError } from "../core/errors.ts";
import { appendViaHeaders } from "../origin/exchange/request-head.ts";
import { type Fill, startFill } from "./fill/fill.ts";
import { createFillEffects } from "./fill/fill-effects.ts";
import { createHeads } from "./fill/heads.ts";
import { type Join, joinFill, type MissAnswer, type MissRequest } from "./fill/reader.ts";
import type { StaleKept } from "./freshness/revalidation.ts";
import { createRevalidation, type Revalidation, type RevalidationRequest } from "./freshness/revalidation.ts";
import { createStoreDecision } from "./key-budget.ts";
import { createMirrorContext, type MirrorOptions, type MirrorParts } from "./mirror-context.ts";
import { mayServePending } from "./policy.ts";
import { createPreviews, type Previews } from "./preview.ts";
import { fillId, type OriginRequest } from "./rules.ts";
import type { StoredObject } from "./stored/stored.ts";

export interface Mirror {
  /** Throws not_found, overloaded, draining and the codes of Origin.fetch and of the gate. */
  fetch(request: MissRequest): Promise<MissAnswer>;
  /** Whether stored objects are fresh, and revalidation in the background. */
  readonly revalidation: Omit<Revalidation, "revalidate" | "pending" | "peek" | "mayServeStale" | "freshPending">;
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
  const { stored, timeouts, headMiss } = options;
  const { meter, log, now, signal } = parts;
  const { viaValue, negativeCache, isStorable } = context;
  const revalidation = createRevalidation(context);
  const heads = createHeads(context);
  const mayStore = createStoreDecision(options.keyBudget, meter);
  const effects = createFillEffects(context, mayStore);
  /** The fills that run, or whose images are not stored yet. `whenStored` resolves once they are, or are given up. */
  const fills = new LiveMap<string, { readonly fill: Fill; readonly whenStored: Promise<void> }>();
  const preview = createPreviews(context, {
    isRunning: (request) => runningFor(fillId(request), request) !== undefined,
    peek: revalidation.peek,
  });

  /**
   * The fill of a fresh pending image, whichever mirror of the bucket fetched it; else the fill that runs. Undefined if
   * it began before the key was deleted, purged or written.
   */
  function runningFor(id: string, { key, epoch, isStored }: Omit<MissRequest, "method" | "signal">): Fill | undefined {
    const pending = isStored ? revalidation.freshPending({ key, epoch }) : undefined;
    if (pending !== undefined) return pending.fill;
    const fill = fills.get(id)?.fill;
    return fill === undefined || fill.epoch < epoch || fill.end !== undefined ? undefined : fill;
  }

  /** Starts a fill and takes care of its result. */
  function start(id: string, request: MissRequest): Fill {
    const { key, isStored, epoch, path, query, headers, followsRedirects, via, cdnLoop } = request;
    const requestedAt = now();
    const fill = startFill(
      { id, key, isStored, epoch, requestedAt, path, query, headers, followsRedirects, via, cdnLoop },
      context.fills,
    );
    const fetch = stored.pendingWrites.begin(key);
    const settle = async () => {
      await effects.settle(fill, await fill.done, fetch);
      stored.pendingWrites.end(fetch);
      if (fills.get(id)?.fill === fill) fills.delete(id);
    };
    fills.set(id, { fill, whenStored: settle() });
    return fill;
  }

  const join = (fill: Fill, how: Join, client: Cancellation, mayStoreFill = mayStore) =>
    joinFill(fill, how, { timeouts, client, isStorable, mayStore: mayStoreFill });

  function joinRunning(fill: Fill, client: Cancellation): Promise<MissAnswer> {
    if (fill.end !== undefined) return join(fill, "after", client);
    meter.collapsed();
    return join(fill, "collapsed", client);
  }

  /** All requests to the origin that run or wait now. */
  const pending = (): Promise<unknown>[] => {
    const filling = [...fills.values()].filter(({ fill }) => fill.end === undefined);
    return [...filling.map(({ fill }) => fill.done), ...heads.pending(), ...revalidation.pending()];
  };

  async function fetchOnce(request: MissRequest): Promise<MissAnswer> {
    const id = fillId(request);
    const running = runningFor(id, request);
    if (running !== undefined) return joinRunning(running, request.signal);
    negativeCache.refuseIfKnown({ id, key: request.key, epoch: request.epoch });
    if (request.method === "HEAD" && headMiss === "origin") {
      const answer = await heads.fetch(id, request);
      if (answer !== undefined) return answer;
    }
    // Another request may have started the fill during the HEAD.
    const begun = runningFor(id, request);
    return begun === undefined ? join(start(id, request), "first", request.signal) : joinRunning(begun, request.signal);
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
      if (outcome.kind === "kept") return outcome;
      // The key is stored already, so the key budget does not apply.
      return join(outcome.fill, outcome.how, client, () => true);
    },
    async whenStored(request) {
      await fills.get(fillId(request))?.whenStored;
    },
    begin(request) {
      const miss = { ...request, method: "GET", signal } as const;
      try {
        appendViaHeaders(miss, viaValue);
        const id = fillId(miss);
        if (runningFor(id, miss) !== undefined) return;
        negativeCache.refuseIfKnown({ id, ...miss });
        start(id, miss);
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

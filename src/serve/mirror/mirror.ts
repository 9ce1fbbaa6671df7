// The mirror of a domain: answers a key that the bucket lacks from the origin, and revalidates stored objects. One
// fetch serves all requests for a key. It does not look into the bucket first: the caller has done so (stored.ts).

import { asHuiyuanError, type HuiyuanError } from "../../core/errors.ts";
import { appendViaHeaders } from "../origin/exchange/request-head.ts";
import type { OriginPreview, PreviewRequest } from "../origin/origin.ts";
import { createHeads } from "./fill/heads.ts";
import { type JoinRules, joinFill, type MissAnswer, type MissRequest } from "./fill/reader.ts";
import { createFills } from "./fills.ts";
import {
  createRevalidation,
  type RevalidateRequest,
  type Revalidation,
  type RevalidationRequest,
  type StaleKept,
  validatorsOf,
} from "./freshness/revalidation.ts";
import { createStoreDecision } from "./key-budget.ts";
import { createMirrorContext, type MirrorOptions, type MirrorParts } from "./mirror-context.ts";
import { mayServePending } from "./policy.ts";
import { fillId, type OriginRequest } from "./rules.ts";
import type { StoredObject } from "./stored/stored.ts";

type PreviewedMiss = Omit<MissRequest, "signal">;

export interface MirrorPreview {
  /** The request would wait for a fetch that runs already. */
  readonly isRunning: boolean;
  /** The reason why the origin would not be contacted. */
  readonly refusal: HuiyuanError | undefined;
  /** The requests that would be sent, in the order in which their origins are tried. */
  readonly asks: readonly OriginPreview[];
}

/** Contacts no origin, counts nothing and remembers nothing. */
interface Previews {
  /** Previews fetch(). Throws origin_loop. */
  miss(request: PreviewedMiss): Promise<MirrorPreview>;
  /**
   * Previews revalidate(), or a revalidation in the background if `mayServeStale` is absent. `kept`: the result of a
   * recent revalidation, for which the stored object is served. Throws origin_loop.
   */
  revalidation(
    object: StoredObject,
    request: RevalidationRequest & { readonly mayServeStale?: boolean },
  ): Promise<MirrorPreview & { readonly kept: StaleKept | undefined }>;
}

export interface Mirror {
  /** Throws not_found, overloaded, draining and the codes of Origin.fetch and of the gate. */
  fetch(request: MissRequest): Promise<MissAnswer>;
  /** Whether stored objects are fresh, and revalidation in the background. */
  readonly revalidation: Omit<Revalidation, "revalidate" | "pending" | "peek" | "mayServeStale" | "isFreshPending">;
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
  /** Resolves when no request to the origin runs or waits; requests that arrive in the meantime are included. */
  idle(): Promise<void>;
}

export function createMirror(options: MirrorOptions, parts: MirrorParts): Mirror {
  const context = createMirrorContext(options, parts);
  const { stored, origin, timeouts, headMiss } = options;
  const { meter, log, signal } = parts;
  const { viaValue, negativeCache, isStorable } = context;
  const revalidation = createRevalidation(context);
  const heads = createHeads(context);
  const mayStore = createStoreDecision(options.keyBudget, meter);
  const fills = createFills(context, mayStore, revalidation.isFreshPending);
  const rules: JoinRules = { timeouts, isStorable, mayStore };

  /** All requests to the origin that run or wait now. */
  const pending = (): Promise<unknown>[] => [...fills.pending(), ...heads.pending(), ...revalidation.pending()];

  /**
   * Serves a pending image after a failed fetch, as a stored one would be: it was too old to be served without
   * revalidation.
   */
  function servePending(request: MissRequest, error: unknown): Promise<MissAnswer> {
    const isPossible = request.isStored && !request.signal.aborted;
    const pendingWrite = isPossible ? stored.pendingWrites.newest(request) : undefined;
    if (pendingWrite === undefined) throw error;
    const { code } = asHuiyuanError(error);
    if (!mayServePending(code, revalidation.mayServeStale(pendingWrite), options)) throw error;
    return joinFill(pendingWrite.fill, code === "not_found" ? "gone" : "failed", request.signal, rules);
  }

  const originRequestsOf = async (request: PreviewRequest) => (await origin.preview?.(request)) ?? [];

  const preview: Previews = {
    async miss(request) {
      appendViaHeaders(request, viaValue);
      const id = fillId(request);
      const isRunning = fills.find(id, request) !== undefined;
      const method = request.method === "HEAD" && headMiss === "origin" ? "HEAD" : "GET";
      const refusal = isRunning ? undefined : (negativeCache.known({ ...request, id }) ?? origin.refusal?.());
      return { isRunning, refusal, asks: await originRequestsOf({ ...request, method }) };
    },
    async revalidation(object, request) {
      appendViaHeaders(request, viaValue);
      const { isRunning, outcome } = revalidation.peek(object, request.mayServeStale ?? true);
      const isFailed = outcome?.kind === "failed";
      const isServed = outcome?.kind === "gone" || outcome?.kind === "current";
      return {
        isRunning,
        refusal: isFailed ? outcome.error : undefined,
        kept: isServed ? { kind: "kept", why: outcome.kind } : undefined,
        asks: await originRequestsOf({ ...request, method: "GET", unless: validatorsOf(object.info) }),
      };
    },
  };

  return {
    async fetch(request) {
      // Before a fill is joined: in a loop of servers that fill may be waiting for this very request.
      appendViaHeaders(request, viaValue);
      const { key, epoch, method, signal: client } = request;
      const id = fillId(request);
      try {
        let running = fills.find(id, request);
        const known = running === undefined ? negativeCache.known({ id, key, epoch }) : undefined;
        if (known !== undefined) throw known;
        if (running === undefined && method === "HEAD" && headMiss === "origin") {
          const answer = await heads.fetch(id, request);
          if (answer !== undefined) return answer;
          // Another request may have started the fill during the HEAD.
          running = fills.find(id, request);
        }
        if (running === undefined) return await joinFill(fills.start(id, request), "first", client, rules);
        const servedFrom = running.end === undefined ? "collapsed" : "after";
        if (servedFrom === "collapsed") meter.collapsed();
        return await joinFill(running, servedFrom, client, rules);
      } catch (error) {
        return servePending(request, error);
      }
    },
    revalidation,
    preview,
    async revalidate(object, request) {
      appendViaHeaders(request, viaValue);
      const outcome = await revalidation.revalidate(object, request);
      if (outcome.kind === "kept") return outcome;
      return joinFill(outcome.fill, outcome.servedFrom, request.signal, rules);
    },
    async whenStored(request) {
      await fills.whenStored(fillId(request));
    },
    begin(request) {
      const miss = { ...request, method: "GET", signal } as const;
      try {
        appendViaHeaders(miss, viaValue);
        const id = fillId(miss);
        if (fills.find(id, miss) === undefined && negativeCache.known({ id, ...miss }) === undefined)
          fills.start(id, miss);
      } catch (err) {
        log.debug({ bucket: stored.bucketId, key: request.key, err }, "an image was not fetched in the background");
      }
    },
    async idle() {
      for (let left = pending(); left.length > 0; left = pending()) await Promise.allSettled(left);
    },
  };
}

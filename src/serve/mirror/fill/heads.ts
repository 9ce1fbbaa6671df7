// Forwards a HEAD for a missing key to the origin as a HEAD; concurrent requests for the key share one. It fetches no
// body and stores nothing.

import { abortable } from "../../../async/cancellation.ts";
import { LiveMap } from "../../../async/live-map.ts";
import { HuiyuanError } from "../../../core/errors.ts";
import type { OriginAnswer } from "../../origin/origin.ts";
import type { MirrorContext } from "../mirror-context.ts";
import { absent } from "../negative-cache.ts";
import { withdrawalBy } from "../policy.ts";
import type { MissAnswer, MissRequest } from "./reader.ts";

type HeadAnswer = Extract<MissAnswer, { readonly kind: "head" }>;

interface RunningHead {
  readonly epoch: number;
  /** Unix milliseconds. */
  readonly requestedAt: number;
  readonly outcome: Promise<OriginAnswer | undefined>;
}

// Statuses that refuse the method and not the image.
const REFUSALS: readonly number[] = [400, 403, 405, 501];

export function createHeads({ options, parts, negativeCache }: MirrorContext) {
  const { stored, origin, maxObjectBytes: maxBytes } = options;
  const { pendingWrites } = stored;
  const { meter, now, signal } = parts;
  const heads = new LiveMap<string, RunningHead>();

  function begin(id: string, request: MissRequest): RunningHead {
    const outcome = requestOrigin(id, request).finally(() => {
      if (heads.get(id)?.outcome === outcome) heads.delete(id);
    });
    outcome.catch(() => undefined); // Perhaps no client waits any more.
    const head = { epoch: request.epoch, requestedAt: now(), outcome };
    heads.set(id, head);
    return head;
  }

  /** Undefined if the method is refused. */
  async function requestOrigin(id: string, request: MissRequest): Promise<OriginAnswer | undefined> {
    const fetch = pendingWrites.begin(request.key);
    let answer: OriginAnswer | undefined;
    try {
      const response = await origin.fetch({ ...request, method: "HEAD", signal, maxBytes });
      // The request had no conditions, so a 304 says nothing.
      if (response?.isNotModified) return undefined;
      answer = response;
    } catch (error) {
      if (error instanceof HuiyuanError && REFUSALS.includes(error.originStatus ?? 0)) return undefined;
      throw error;
    } finally {
      pendingWrites.end(fetch);
    }
    if (answer === undefined) {
      const { epoch, isStored } = request;
      negativeCache.absent({ id, epoch });
      const withdrawal = withdrawalBy({ kind: "absent" }, options);
      if (isStored && withdrawal !== undefined) pendingWrites.withdraw(fetch, withdrawal);
      throw absent(request.key);
    }
    answer.body.destroy();
    return answer;
  }

  return {
    /**
     * `id`: fillId(). Undefined: the origin refuses the method, so a GET is needed. Throws not_found and the codes of
     * Origin.fetch.
     */
    async fetch(id: string, request: MissRequest): Promise<HeadAnswer | undefined> {
      const running = heads.get(id);
      const isShared = running !== undefined && running.epoch >= request.epoch;
      if (isShared) meter.collapsed();
      const { requestedAt, outcome } = isShared ? running : begin(id, request);
      const answer = await abortable(outcome, request.signal);
      return answer && { kind: "head", answer, requestedAt, servedFrom: isShared ? "collapsed" : "first" };
    },
    /** The requests that run; they may reject. */
    pending: () => [...heads.values()].map(({ outcome }) => outcome),
  };
}

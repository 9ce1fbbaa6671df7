// HEADs for keys that the bucket lacks, passed on as HEADs: one for all who ask for a key meanwhile. Nothing is fetched and
// nothing stored.

import { abortable } from "../../async/cancellation.ts";
import { LiveMap, LiveSet } from "../../async/live-map.ts";
import { HuiyuanError } from "../../core/errors.ts";
import type { OriginAnswer } from "../../origin/origin.ts";
import type { MirrorContext } from "../mirror-context.ts";
import { absent, fetchOf } from "../negative-cache.ts";
import { fillId } from "../rules.ts";
import type { MissAnswer, MissRequest } from "./join.ts";

export interface Heads {
  /** Undefined: the origin refuses the method, and a fetch may find out what it has. Throws not_found and the codes of Origin.fetch. */
  fetch(request: MissRequest): Promise<Extract<MissAnswer, { readonly kind: "asked" }> | undefined>;
  /** Those under way; they may reject. */
  pending(): Iterable<Promise<unknown>>;
}

interface AskedHead {
  readonly epoch: number;
  /** Unix milliseconds. */
  readonly requestedAt: number;
  readonly asked: Promise<OriginAnswer | undefined>;
}

// Statuses that refuse the method rather than the image.
const REFUSALS: readonly number[] = [400, 403, 405, 501];

export function createHeads({ options, parts, fills, negativeCache, invalidate }: MirrorContext): Heads {
  const { origin, onGone, maxObjectBytes: maxBytes } = options;
  const { meter, now, signal } = parts;
  const asking = new LiveSet<Promise<OriginAnswer | undefined>>();
  const heads = new LiveMap<string, AskedHead>();

  function begin(id: string, request: MissRequest): AskedHead {
    const asked = askOrigin(request).finally(() => {
      answered();
      if (heads.get(id)?.asked === asked) heads.delete(id);
    });
    asked.catch(() => undefined); // Perhaps nobody waits any more.
    const answered = asking.add(asked);
    const head = { epoch: request.epoch, requestedAt: now(), asked };
    heads.set(id, head);
    return head;
  }

  /** Undefined where the method is refused. */
  async function askOrigin(request: MissRequest): Promise<OriginAnswer | undefined> {
    const leave = await fills.admission();
    const requestedAt = now();
    let answer: OriginAnswer | undefined;
    try {
      const said = await origin.fetch({ ...request, method: "HEAD", signal, maxBytes });
      // A 304 only answers conditions, and there were none.
      if (said?.isNotModified) return undefined;
      answer = said;
    } catch (error) {
      if (error instanceof HuiyuanError && REFUSALS.includes(error.originStatus ?? 0)) return undefined;
      throw error;
    } finally {
      leave();
    }
    if (answer === undefined) {
      negativeCache.absent(fetchOf(request));
      const { key, epoch, isStored } = request;
      if (isStored && onGone === "remove") invalidate({ key, epoch, requestedAt, fate: "gone" });
      throw absent(request.key);
    }
    answer.body.destroy();
    return answer;
  }

  return {
    async fetch(request) {
      const id = fillId(request);
      const running = heads.get(id);
      const isShared = running !== undefined && running.epoch >= request.epoch;
      if (isShared) meter.collapsed();
      const { requestedAt, asked } = isShared ? running : begin(id, request);
      const answer = await abortable(asked, request.signal);
      return answer && { kind: "asked", answer, requestedAt, how: isShared ? "collapsed" : "first" };
    },
    pending: () => asking,
  };
}

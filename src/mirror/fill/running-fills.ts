// The fills of one mirror that run, or whose images are not stored yet: finds the one that a request may join, and
// starts new ones. Whether a fill is needed is decided by mirror.ts.
import { LiveMap } from "../../async/live-map.ts";
import type { MirrorContext } from "../mirror-context.ts";
import { fillId, type OriginRequest } from "../rules.ts";
import { type Fill, startFill } from "./fill.ts";
import type { FillEffects } from "./fill-effects.ts";
import { type FillEnd, type FillHead, isDesynced } from "./fill-end.ts";
import type { MissRequest } from "./join.ts";

export interface RunningFills {
  /**
   * The fill of the key. Undefined if it began before the key was deleted, purged or written, or if its answer has
   * become stale or may belong to another request.
   */
  find(request: OriginRequest & Pick<MissRequest, "epoch">): Fill | undefined;
  /** As find(), if the fill still has all bytes that the request will read. */
  joinable(request: MissRequest): Fill | undefined;
  /** Starts a fill and takes care of its result. */
  start(request: MissRequest): Fill;
  /** Resolves once the request's fill has ended and its image is stored or given up. */
  settled(request: OriginRequest): Promise<void>;
  /** The fills that still receive bytes. */
  pending(): readonly Promise<unknown>[];
  /** Fills that run or wait to be stored. */
  readonly size: number;
}

export interface RunningFillsParts {
  readonly effects: FillEffects;
  /** Whether the answer may still be served without revalidation. */
  readonly isFreshAnswer: (head: FillHead) => boolean;
}

export function createRunningFills(context: MirrorContext, parts: RunningFillsParts): RunningFills {
  const { effects, isFreshAnswer } = parts;
  const { now } = context.parts;
  /** `settled`: its image is stored or given up. */
  const fills = new LiveMap<string, { readonly fill: Fill; readonly settled: Promise<void> }>();

  function find(request: OriginRequest & Pick<MissRequest, "epoch">): Fill | undefined {
    const fill = fills.get(fillId(request))?.fill;
    if (fill === undefined || fill.epoch < request.epoch) return undefined;
    const { end } = fill;
    if (isDesynced(end)) return undefined;
    return end === undefined || !("head" in end) || isFreshAnswer(end.head) ? fill : undefined;
  }

  async function settle(fill: Fill, end: FillEnd, requestedAt: number): Promise<void> {
    await effects.settle(fill, end, requestedAt);
    if (fills.get(fill.id)?.fill === fill) fills.delete(fill.id);
  }

  return {
    find,
    joinable(request) {
      const fill = find(request);
      const isEnough = request.waitsForEnd || (request.needsWholeBody && fill?.transient?.isUnderWay);
      return isEnough || fill?.spool?.hasAll() !== false ? fill : undefined;
    },
    start(request) {
      const { key, isStored, epoch, path, query, headers, followsRedirects, via, cdnLoop } = request;
      const id = fillId(request);
      const requestedAt = now();
      const fill = startFill(
        { id, key, isStored, epoch, requestedAt, path, query, headers, followsRedirects, via, cdnLoop },
        context.fills,
      );
      fills.set(id, { fill, settled: fill.done.then((end) => settle(fill, end, requestedAt)) });
      return fill;
    },
    async settled(request) {
      await fills.get(fillId(request))?.settled;
    },
    pending: () =>
      fills
        .values()
        .filter(({ fill }) => fill.end === undefined)
        .map(({ fill }) => fill.done),
    get size() {
      return fills.size;
    },
  };
}

// The fills of one mirror: finds the one that a request may join, starts new ones, and handles their ends: the image is
// stored, or the failure is remembered for a short time and logged. The fetch itself is in fill.ts.
import { LiveMap } from "../../async/live-map.ts";
import type { HuiyuanError } from "../../core/errors.ts";
import type { Key } from "../../core/object.ts";
import { createExpiring } from "./expiring.ts";
import { describeFetched } from "./fill/arrival.ts";
import { Fill } from "./fill/fill.ts";
import type { FillEnd } from "./fill/fill-end.ts";
import { isByOtherNode, outcomeOf } from "./fill/lease.ts";
import type { MissRequest } from "./fill/reader.ts";
import type { MirrorContext } from "./mirror-context.ts";
import { storingOf, withdrawalBy } from "./policy.ts";
import type { ServableWrite, TrackedFetch } from "./stored/pending-writes.ts";

type FillOf = Omit<MissRequest, "method" | "signal">;

type Ended<Kind extends FillEnd["kind"]> = Extract<FillEnd, { readonly kind: Kind }>;

/**
 * `mayStore`: as in JoinRules. `isFresh`: whether a pending image may be served without a request to the origin.
 */
export function createFills(
  context: MirrorContext,
  mayStore: (fill: Fill) => boolean,
  isFresh: (write: ServableWrite) => boolean,
) {
  const { options, parts, ticks, negativeCache, failures } = context;
  const { stored, origin } = options;
  const { pendingWrites } = stored;
  const { writeBack, meter, now } = parts;
  const mayStoreSuspect = createSuspects();
  const fills = new LiveMap<string, { readonly fill: Fill; readonly whenStored: Promise<void> }>();

  /** Resolves once the image is stored or given up. */
  function settle(fill: Fill, end: FillEnd, fetch: TrackedFetch): Promise<unknown> | undefined {
    if (isByOtherNode(end)) return undefined;
    const outcome = outcomeOf(end);
    if (outcome !== undefined) fill.lease?.end(outcome);
    const withdrawal = withdrawalBy(end, options);
    if (withdrawal !== undefined && fill.isStored) pendingWrites.withdraw(fetch, withdrawal);
    if ((end.kind === "whole" || end.kind === "suspect") && isWanted(fill, end))
      return store(fill, end, fetch).finally(() => fill.lease?.settled());
    fill.lease?.end({ kind: "unstored" });
    if (end.kind !== "current") giveUp(fill, end);
    return undefined;
  }

  function forget(fill: Fill, fetch: TrackedFetch): void {
    pendingWrites.end(fetch);
    if (fills.get(fill.id)?.fill === fill) fills.delete(fill.id);
  }

  function isWanted(fill: Fill, end: Ended<"whole" | "suspect">): boolean {
    const storing = storingOf(end, options);
    if (end.kind === "whole") return storing === "store" && mayStore(fill);
    const { sha256 } = end.body.hashes;
    return storing === "if-repeated" && fill.isStored && mayStoreSuspect(fill.key, sha256, ticks());
  }

  /** A damaged image is not served while its write is pending. */
  function store(fill: Fill, end: Ended<"whole" | "suspect">, fetch: TrackedFetch): Promise<unknown> {
    const { body, head } = end;
    const isWhole = end.kind === "whole";
    const { key, epoch } = fill;
    const info = isWhole ? end.info : describeFetched({ key, head, body, now: now(), isSuspect: true });
    const { spool, answer } = head;
    const served = isWhole ? fill : undefined;
    // Field by field: V8 takes microseconds and kilobytes to add to a spread object.
    return writeBack.store({ stored, info, epoch, body, spool, desync: answer.desync, fill: served, fetch });
  }

  function giveUp(fill: Fill, end: Ended<"whole" | "absent" | "failed" | "suspect" | "unstored">): void {
    if (end.kind !== "whole") report(fill, end);
    if (!("head" in end)) return;
    // The readers, which were woken in this same turn, take their own holds first.
    setImmediate(() => end.head.spool.release());
  }

  function report(fill: Fill, end: Ended<"absent" | "failed" | "suspect" | "unstored">): void {
    const { key } = fill;
    if (end.kind === "absent") {
      meter.refused("not_found");
      negativeCache.absent(fill);
    } else if (end.kind === "failed") {
      meter.refused(end.error.code);
      logFailure(key, end.error);
      negativeCache.failed(fill, end.error);
    } else if (end.kind === "suspect" || end.damage !== undefined) {
      meter.refused("suspect");
      const about = { bucket: stored.bucketId, key, originUrl: end.head.answer.url };
      failures.warn("suspect", about, "an image is not stored: it arrived damaged");
    } else {
      meter.notStored(end.error.code);
      const about = { bucket: stored.bucketId, key, err: end.error };
      failures.error("not_kept", about, "an image was served but could not be stored");
    }
  }

  /** While the origin is refused its breaker logs a few lines; a line for each image would drown them. */
  function logFailure(key: Key, err: HuiyuanError): void {
    if (origin.refusal?.() !== undefined) return;
    const about = { bucket: stored.bucketId, key, code: err.code, err };
    failures.warn(err.code, about, "an image could not be fetched");
  }

  return {
    /**
     * The fill of a fresh pending image, whichever mirror of the bucket fetched it; else the fill that runs. Undefined
     * if it began before the key was deleted, purged or written. `id`: fillId().
     */
    find(id: string, { key, epoch, isStored }: FillOf): Fill | undefined {
      const pending = isStored ? pendingWrites.newest({ key, epoch }) : undefined;
      if (pending !== undefined && isFresh(pending)) return pending.fill;
      const fill = fills.get(id)?.fill;
      return fill === undefined || fill.epoch < epoch || fill.end !== undefined ? undefined : fill;
    },
    /** Starts a fill and takes care of its result. */
    start(id: string, request: FillOf): Fill {
      const { key, isStored, epoch, path, query, headers, followsRedirects, via, cdnLoop } = request;
      const requestedAt = now();
      const fill = new Fill(
        {
          id,
          key,
          isStored,
          isShared: isStored,
          epoch,
          requestedAt,
          path,
          query,
          headers,
          followsRedirects,
          via,
          cdnLoop,
        },
        context.fills,
      );
      const fetch = pendingWrites.begin(key);
      const settled = fill.done.then((end) => settle(fill, end, fetch));
      fills.set(id, { fill, whenStored: settled.then(() => forget(fill, fetch)) });
      return fill;
    },
    /** Resolves once the image of the fill is stored or given up. */
    whenStored: (id: string) => fills.get(id)?.whenStored,
    /** The requests that run; they never reject. */
    pending: () => [...fills.values()].filter(({ fill }) => fill.end === undefined).map(({ fill }) => fill.done),
  };
}

const APART_MS = 3_600_000;
const FORGET_MS = 7 * 24 * APART_MS;
const MAX_KEYS = 10_000;

/**
 * Setting `suspects: keep`: an image with a wrong structure or declared hash may be stored once the origin has sent the
 * same bytes twice, an hour apart. A restart begins the hour again. The returned function is true if these bytes were
 * seen under this key at least an hour ago, and no others since. `now`: as performance.now().
 */
export function createSuspects() {
  const firstSeen = createExpiring<{ readonly sha256: string; readonly at: number }>(MAX_KEYS);
  return (key: string, sha256: string, now: number): boolean => {
    const seen = firstSeen.get(key, now);
    if (seen?.sha256 === sha256) return now - seen.at >= APART_MS;
    firstSeen.set(key, { sha256, at: now }, { now, ttlMs: FORGET_MS });
    return false;
  };
}

// Handles the end of the fill of a missing image: the image is stored, or the failure is remembered for a short time
// and logged. It fetches nothing.
import type { HuiyuanError } from "../../core/errors.ts";
import type { Key } from "../../core/object.ts";
import { createExpiring } from "../expiring.ts";
import type { MirrorContext } from "../mirror-context.ts";
import { storingOf, withdrawalBy } from "../policy.ts";
import type { TrackedFetch } from "../storing/pending-writes.ts";
import type { Fill } from "./fill.ts";
import { describeFetched, type FillEnd, type FillHead } from "./fill-end.ts";

export interface FillEffects {
  /** Resolves once the image is stored or given up; never rejects. Releases the fill's spool. */
  settle(fill: Fill, end: FillEnd, fetch: TrackedFetch): Promise<void>;
}

type Ended<Kind extends FillEnd["kind"]> = Extract<FillEnd, { readonly kind: Kind }>;

/** `mayStore`: for a fill that has ended whole and is storable, whether the bucket accepts it. */
export function createFillEffects(context: MirrorContext, mayStore: (fill: Fill) => boolean): FillEffects {
  const { options, parts, ticks, negativeCache, failures } = context;
  const { stored, origin } = options;
  const { writeBack, meter, now } = parts;
  const suspects = createSuspects();
  const isRepeated = ({ isStored, key }: Fill, { body }: Ended<"suspect">) =>
    isStored && suspects.mayBeStored(key, body.hashes.sha256, ticks());

  /** A damaged image is not served while its write is pending. */
  async function store(fill: Fill, end: Ended<"whole" | "suspect">, fetch: TrackedFetch): Promise<void> {
    const { body, head } = end;
    const isWhole = end.kind === "whole";
    const { key, epoch } = fill;
    const info = isWhole ? end.info : describeFetched({ key, head, body, now: now(), isSuspect: true });
    const { spool, answer } = head;
    const served = isWhole ? fill : undefined;
    // Field by field: V8 takes microseconds and kilobytes to add to a spread object.
    await writeBack.store({ stored, info, epoch, body, spool, desync: answer.body.desync, fill: served, fetch });
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

  /** Releases after the readers, which were woken in this same turn, have taken their own holds. */
  function releaseSoon({ spool }: FillHead): void {
    setImmediate(() => spool.release());
  }

  return {
    async settle(fill, end, fetch) {
      const fate = withdrawalBy(end, options);
      const storing = storingOf(end, options);
      if (fate !== undefined && fill.isStored) stored.pendingWrites.withdraw(fetch, fate);
      if (end.kind === "whole") {
        if (storing === "store" && mayStore(fill)) await store(fill, end, fetch);
        else releaseSoon(end.head);
      } else if (end.kind === "suspect" && storing === "if-repeated" && isRepeated(fill, end)) {
        await store(fill, end, fetch);
      } else if (end.kind !== "current") {
        report(fill, end);
        if ("head" in end) releaseSoon(end.head);
      }
    },
  };
}

const APART_MS = 3_600_000;
const FORGET_MS = 7 * 24 * APART_MS;
const MAX_KEYS = 10_000;

/**
 * Setting `suspects: keep`: an image with a wrong structure or declared hash may be stored once the origin has sent the
 * same bytes twice, an hour apart. A restart begins the hour again.
 */
export interface Suspects {
  /**
   * True: these bytes were seen under this key at least an hour ago, and no others since. `now`: as performance.now().
   */
  mayBeStored(key: string, sha256: string, now: number): boolean;
}

export function createSuspects(): Suspects {
  const firstSeen = createExpiring<{ readonly sha256: string; readonly at: number }>(MAX_KEYS);
  return {
    mayBeStored(key, sha256, now) {
      const seen = firstSeen.get(key, now);
      if (seen?.sha256 === sha256) return now - seen.at >= APART_MS;
      firstSeen.set(key, { sha256, at: now }, { now, ttlMs: FORGET_MS });
      return false;
    },
  };
}

// The pending writes of one bucket: whole images from the end of their fill until they are stored. They count as
// stored: they are served, also stale if the origin fails, and are given up if the origin withdraws them. It writes
// nothing.

import { LiveMap } from "../../async/live-map.ts";
import type { Key, ObjectInfo } from "../../core/object.ts";
import { createExpiring } from "../expiring.ts";
import type { Fill } from "../fill/fill.ts";
import { isDesynced } from "../fill/fill-end.ts";
import type { Withdrawal } from "../policy.ts";
import { type FetchedVersion, isEarlier, validatedAt } from "./versions.ts";

/** `wanted`: the image is to be stored. */
export type Fate = "wanted" | Withdrawal;

export interface PendingWrite {
  readonly fill: Fill;
  readonly info: ObjectInfo;
  fate: Fate;
}

/** An answer of the origin after which older pending images of the key must not be stored. */
export interface Invalidation {
  readonly key: Key;
  readonly epoch: number;
  /** When the answer was requested, Unix milliseconds; images that were requested later are not affected. */
  readonly requestedAt: number;
  readonly fate: Withdrawal;
}

/** The pending writes of one bucket, of all its mirrors. */
export interface PendingWrites {
  /**
   * Lists an image as pending until `settled` resolves, when it is stored or given up. `settled` never rejects. If the
   * key was invalidated during the fetch, that applies to this image too.
   */
  add(image: PendingWrite, settled: Promise<unknown>): void;
  /** Gives up the pending images, which it returns, and those that still arrive. */
  invalidate(invalidation: Invalidation): readonly PendingWrite[];
  /** The newest image that is to be stored, unless it is older than the last delete, purge or write of the key. */
  newest(at: { readonly key: Key; readonly epoch: number }): PendingWrite | undefined;
  /** The number of keys. */
  readonly size: number;
}

const NONE: readonly PendingWrite[] = [];
/** Each takes about 200 bytes. */
const MAX_INVALIDATIONS = 4_096;
/** Longer than any fetch takes. */
const INVALIDATION_MS = 3_600_000;

/** `ticks`: as performance.now(). */
export function createPendingWrites(ticks = () => performance.now()): PendingWrites {
  const invalidated = createExpiring<Invalidation>(MAX_INVALIDATIONS);
  const images = new LiveMap<Key, readonly PendingWrite[]>();

  function remove(image: PendingWrite): void {
    const { key } = image.info;
    const all = images.get(key) ?? NONE;
    if (all.length === 1 && all[0] === image) images.delete(key);
    else
      images.set(
        key,
        all.filter((other) => other !== image),
      );
  }

  const isValid = ({ fate, fill }: PendingWrite, epoch: number) =>
    fate === "wanted" && fill.epoch >= epoch && !isDesynced(fill.end);

  return {
    add(image, settled) {
      const { key } = image.info;
      const invalidation = invalidated.get(key, ticks());
      if (invalidation !== undefined && coversArrival(invalidation, image)) image.fate = invalidation.fate;
      const others = images.get(key);
      images.set(key, others === undefined ? [image] : inOrder(others, image));
      void settled.then(() => remove(image));
    },
    invalidate(invalidation) {
      const { key, epoch, requestedAt } = invalidation;
      invalidated.set(key, invalidation, { now: ticks(), ttlMs: INVALIDATION_MS });
      const all = images.get(key) ?? NONE;
      const givenUp = all.filter((image) => isValid(image, epoch) && validatedAt(image.info) <= requestedAt);
      for (const image of givenUp) image.fate = invalidation.fate;
      return givenUp;
    },
    newest: ({ key, epoch }) => images.get(key)?.findLast((image) => isValid(image, epoch)),
    get size() {
      return images.size;
    },
  };
}

/** A slow fetch may end after one that began later. */
function inOrder(others: readonly PendingWrite[], image: PendingWrite): readonly PendingWrite[] {
  const place = others.findLastIndex((other) => !isEarlier(fetchedVersionOf(image), fetchedVersionOf(other))) + 1;
  return others.toSpliced(place, 0, image);
}

/**
 * Whether the invalidation was requested while the image arrived. One from the future is ignored: the clock was set
 * back since.
 */
function coversArrival({ requestedAt, epoch }: Invalidation, { info, fill }: PendingWrite): boolean {
  return fill.epoch >= epoch && validatedAt(info) <= requestedAt && requestedAt <= info.provenance.fetchedAt;
}

function fetchedVersionOf({ fill: { epoch }, info }: PendingWrite): FetchedVersion {
  return { info, epoch };
}

// Whole images from their end until they are stored: the store may let them wait. Meanwhile they count as what is stored
// would: they are served, help out where the origin, asked again, gives nothing better, and are given up where it takes them back.

import { LiveMap } from "../../async/live-map.ts";
import type { Key, ObjectInfo } from "../../core/object.ts";
import { createExpiring } from "../expiring.ts";
import type { Fill } from "../fill/fill.ts";
import { isDesynced } from "../fill/fill-end.ts";
import { type FetchedVersion, isEarlier, spokenAt } from "./versions.ts";

/**
 * `superseded`: the origin has gone back to what is stored, or lets nothing be kept any longer: it is stored no more, and stale where it is
 * stored already. `gone`: the origin has it no more, and it is removed.
 */
export type Fate = "wanted" | "superseded" | "gone";

export interface PendingWrite {
  readonly fill: Fill;
  readonly info: ObjectInfo;
  fate: Fate;
}

/** An answer of the origin about a key that has no image for the store. */
export interface Invalidation {
  readonly key: Key;
  readonly epoch: number;
  /** When it was asked, Unix milliseconds: what was asked for later is no concern of it. */
  readonly requestedAt: number;
  readonly fate: Exclude<Fate, "wanted">;
}

/** Of one bucket, whichever mirror fetched them. */
export interface PendingWrites {
  /** `settled` resolves when the image is stored or given up, and never rejects. It is given up where its origin has taken it back while it arrived. */
  add(image: PendingWrite, settled: Promise<unknown>): void;
  /** Gives up those that wait, which it returns, and those that still arrive. */
  invalidate(invalidation: Invalidation): readonly PendingWrite[];
  /** The last one that is wanted, but none from before the key was deleted, purged or written. */
  newest(at: { readonly key: Key; readonly epoch: number }): PendingWrite | undefined;
  /** Keys. */
  readonly size: number;
}

const NONE: readonly PendingWrite[] = [];
/** Some 200 bytes each. */
const MAX_TAKEN_BACK = 4_096;
/** Longer than any fetch takes. */
const TAKEN_BACK_MS = 3_600_000;

/** `ticks`: as performance.now(). */
export function createPendingWrites(ticks = () => performance.now()): PendingWrites {
  const invalidated = createExpiring<Invalidation>(MAX_TAKEN_BACK);
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

  const isThere = ({ fate, fill }: PendingWrite, epoch: number) =>
    fate === "wanted" && fill.epoch >= epoch && !isDesynced(fill.end);

  return {
    add(image, settled) {
      const { key } = image.info;
      const invalidation = invalidated.get(key, ticks());
      if (invalidation !== undefined && isWhileArriving(invalidation, image)) image.fate = invalidation.fate;
      const others = images.get(key);
      images.set(key, others === undefined ? [image] : inOrder(others, image));
      void settled.then(() => remove(image));
    },
    invalidate(invalidation) {
      const { key, epoch, requestedAt } = invalidation;
      invalidated.set(key, invalidation, { now: ticks(), ttlMs: TAKEN_BACK_MS });
      const all = images.get(key) ?? NONE;
      const given = all.filter((image) => isThere(image, epoch) && spokenAt(image.info) <= requestedAt);
      for (const image of given) image.fate = invalidation.fate;
      return given;
    },
    newest: ({ key, epoch }) => images.get(key)?.findLast((image) => isThere(image, epoch)),
    get size() {
      return images.size;
    },
  };
}

/** A slow question may end after one that was asked later. */
function inOrder(others: readonly PendingWrite[], image: PendingWrite): readonly PendingWrite[] {
  const place = others.findLastIndex((other) => !isEarlier(fetchedVersionOf(image), fetchedVersionOf(other))) + 1;
  return others.toSpliced(place, 0, image);
}

/** Not by a question that lies ahead of the clock, which has been set back since: it would take back all that comes. */
function isWhileArriving({ requestedAt, epoch }: Invalidation, { info, fill }: PendingWrite): boolean {
  return fill.epoch >= epoch && spokenAt(info) <= requestedAt && requestedAt <= info.provenance.fetchedAt;
}

function fetchedVersionOf({ fill: { epoch }, info }: PendingWrite): FetchedVersion {
  return { info, epoch };
}

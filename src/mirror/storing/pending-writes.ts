// Whole images from their end until they are stored: the store may let them wait. Meanwhile they count as what is stored
// would: they are served, help out where the origin, asked again, gives nothing better, and are given up where it takes them back.

import { PassingMap } from "../../async/live-map.ts";
import type { Key, ObjectInfo } from "../../core/object.ts";
import { createExpiring } from "../expiring.ts";
import { type Fill, isDoubted } from "../fill/fill.ts";
import { type Brought, isEarlier, spokenAt } from "./versions.ts";

/**
 * `superseded`: the origin has gone back to what is stored, or lets nothing be kept any longer: it is stored no more, and stale where it is
 * stored already. `gone`: the origin has it no more, and it is removed.
 */
export type Fate = "wanted" | "superseded" | "gone";

export interface WaitingImage {
  readonly fill: Fill;
  readonly info: ObjectInfo;
  fate: Fate;
}

/** An answer of the origin about a key that has no image for the store. */
export interface TakenBack {
  readonly key: Key;
  readonly epoch: number;
  /** When it was asked, Unix milliseconds: what was asked for later is no concern of it. */
  readonly askedAt: number;
  readonly fate: Exclude<Fate, "wanted">;
}

/** Of one bucket, whichever mirror fetched them. */
export interface WaitingImages {
  /** `settled` resolves when the image is stored or given up, and never rejects. It is given up where its origin has taken it back while it arrived. */
  add(image: WaitingImage, settled: Promise<unknown>): void;
  /** Gives up those that wait, which it returns, and those that still arrive. */
  takeBack(told: TakenBack): readonly WaitingImage[];
  /** The last one that is wanted, but none from before the key was deleted, purged or written. */
  newest(at: { readonly key: Key; readonly epoch: number }): WaitingImage | undefined;
  /** Keys. */
  readonly size: number;
}

const NONE: readonly WaitingImage[] = [];
/** Some 200 bytes each. */
const MAX_TAKEN_BACK = 4_096;
/** Longer than any fetch takes. */
const TAKEN_BACK_MS = 3_600_000;

/** `ticks`: as performance.now(). */
export function createWaiting(ticks = () => performance.now()): WaitingImages {
  const takenBack = createExpiring<TakenBack>(MAX_TAKEN_BACK);
  const images = new PassingMap<Key, readonly WaitingImage[]>();

  function remove(image: WaitingImage): void {
    const { key } = image.info;
    const all = images.get(key) ?? NONE;
    if (all.length === 1 && all[0] === image) images.delete(key);
    else
      images.set(
        key,
        all.filter((other) => other !== image),
      );
  }

  const isThere = ({ fate, fill }: WaitingImage, epoch: number) =>
    fate === "wanted" && fill.epoch >= epoch && !isDoubted(fill.end);

  return {
    add(image, settled) {
      const { key } = image.info;
      const told = takenBack.get(key, ticks());
      if (told !== undefined && isWhileArriving(told, image)) image.fate = told.fate;
      const others = images.get(key);
      images.set(key, others === undefined ? [image] : inOrder(others, image));
      void settled.then(() => remove(image));
    },
    takeBack(told) {
      const { key, epoch, askedAt } = told;
      takenBack.set(key, told, { now: ticks(), ttlMs: TAKEN_BACK_MS });
      const all = images.get(key) ?? NONE;
      const given = all.filter((image) => isThere(image, epoch) && spokenAt(image.info) <= askedAt);
      for (const image of given) image.fate = told.fate;
      return given;
    },
    newest: ({ key, epoch }) => images.get(key)?.findLast((image) => isThere(image, epoch)),
    get size() {
      return images.size;
    },
  };
}

/** A slow question may end after one that was asked later. */
function inOrder(others: readonly WaitingImage[], image: WaitingImage): readonly WaitingImage[] {
  const place = others.findLastIndex((other) => !isEarlier(broughtOf(image), broughtOf(other))) + 1;
  return others.toSpliced(place, 0, image);
}

/** Not by a question that lies ahead of the clock, which has been set back since: it would take back all that comes. */
function isWhileArriving({ askedAt, epoch }: TakenBack, { info, fill }: WaitingImage): boolean {
  return fill.epoch >= epoch && spokenAt(info) <= askedAt && askedAt <= info.provenance.fetchedAt;
}

function broughtOf({ fill: { epoch }, info }: WaitingImage): Brought {
  return { info, epoch };
}

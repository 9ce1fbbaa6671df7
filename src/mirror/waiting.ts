// Whole images from their end until they are stored: the store may let them wait. Meanwhile they count as what is stored
// would: they are served, help out where the origin, asked again, gives nothing better, and are given up where it takes them back.
import type { Key, ObjectInfo } from "../object.ts";
import { PassingMap } from "../passing.ts";
import { type Fill, isDoubted } from "./fill.ts";
import { type Brought, isEarlier } from "./versions.ts";

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

/** Of one bucket, whichever mirror fetched them. */
export interface WaitingImages {
  /** `settled` resolves when the image is stored or given up, and never rejects. */
  add(image: WaitingImage, settled: Promise<unknown>): void;
  /** Those that are wanted, the last one last, but none from before the key was deleted, purged or written. */
  of(at: { readonly key: Key; readonly epoch: number }): readonly WaitingImage[];
  /** The last of them. */
  newest(at: { readonly key: Key; readonly epoch: number }): WaitingImage | undefined;
  /** Keys. */
  readonly size: number;
}

const NONE: readonly WaitingImage[] = [];

export function createWaiting(): WaitingImages {
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
      const others = images.get(key);
      images.set(key, others === undefined ? [image] : inOrder(others, image));
      void settled.then(() => remove(image));
    },
    of: ({ key, epoch }) => (images.get(key) ?? NONE).filter((image) => isThere(image, epoch)),
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

function broughtOf({ fill: { epoch }, info }: WaitingImage): Brought {
  return { info, epoch };
}

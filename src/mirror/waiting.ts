// Whole images from their end until they are stored: the store may let them wait. Meanwhile they count as what is stored
// would: they are served, help out where the origin, asked again, gives nothing better, and are given up where it takes them back.
import type { Key, ObjectInfo } from "../object.ts";
import { PassingMap } from "../passing.ts";
import type { Fill } from "./fill.ts";
import { spokenAt } from "./versions.ts";

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
  /** The last one that is wanted, unless the key has been deleted, purged or written since it was asked for. */
  newest(of: { readonly key: Key; readonly epoch: number }): WaitingImage | undefined;
  readonly size: number;
}

export function createWaiting(): WaitingImages {
  const images = new PassingMap<Key, WaitingImage>();

  return {
    add(image, settled) {
      const { key } = image.info;
      const other = images.get(key);
      // A slow question may end after one that was asked later.
      if (other !== undefined && isEarlier(image, other)) return;
      images.set(key, image);
      void settled.then(() => {
        if (images.get(key) === image) images.delete(key);
      });
    },
    newest({ key, epoch }) {
      const found = images.get(key);
      return found?.fate === "wanted" && found.fill.epoch >= epoch ? found : undefined;
    },
    get size() {
      return images.size;
    },
  };
}

function isEarlier(one: WaitingImage, other: WaitingImage): boolean {
  return one.fill.epoch < other.fill.epoch || spokenAt(one.info) < spokenAt(other.info);
}

// Whole images from their end until they are stored: the store may let them wait. Where the origin, asked again, gives
// nothing better, they help out as what is stored does.
import type { ObjectInfo } from "../object.ts";
import { PassingMap } from "../passing.ts";
import type { Ages } from "./ages.ts";
import type { Fill } from "./fill.ts";

export interface WaitingImage {
  readonly fill: Fill;
  readonly info: ObjectInfo;
  /** False from when the origin has said that it has no such image any more, or that its new one may not be kept. */
  isWanted: boolean;
}

export interface WaitingImages {
  /** `settled` resolves when the image is stored or given up, and never rejects. A later one takes the name over. */
  add(id: string, image: WaitingImage, settled: Promise<void>): void;
  get(id: string): WaitingImage | undefined;
  /** What may help out: not what was brought before the key was deleted, purged or written, nor what is too old even for that. */
  helperFor(asked: { readonly id: string; readonly epoch: number }): Fill | undefined;
  readonly size: number;
}

export function createWaiting({ standingOf }: Pick<Ages, "standingOf">): WaitingImages {
  const images = new PassingMap<string, WaitingImage>();

  return {
    add(id, image, settled) {
      images.set(id, image);
      void settled.then(() => {
        if (images.get(id) === image) images.delete(id);
      });
    },
    get: (id) => images.get(id),
    helperFor({ id, epoch }) {
      const found = images.get(id);
      if (found?.isWanted !== true || found.fill.epoch < epoch) return undefined;
      return standingOf({ info: found.info, isStale: false }) === "must-ask" ? undefined : found.fill;
    },
    get size() {
      return images.size;
    },
  };
}

// Whole images from their end until they are stored: the store may let them wait. Meanwhile they count as what is stored
// would: they help out where the origin, asked again, gives nothing better, and what it takes back is given up.
import type { Log } from "../log.ts";
import { etagOf, type ObjectInfo } from "../object.ts";
import { PassingMap } from "../passing.ts";
import type { Ages } from "./ages.ts";
import type { Fill } from "./fill.ts";
import type { Stored } from "./stored.ts";
import type { WriteBack } from "./write-back.ts";

export interface WaitingImage {
  readonly fill: Fill;
  readonly info: ObjectInfo;
  /** False from when it has been taken back. */
  isWanted: boolean;
}

export interface WaitingImages {
  /** `settled` resolves when the image is stored or given up, and never rejects. A later one takes the name over. */
  add(id: string, image: WaitingImage, settled: Promise<unknown>): void;
  /** The last one, unless it has been taken back, or the key has been deleted, purged or written since it was asked for. */
  newest(asked: { readonly id: string; readonly epoch: number }): WaitingImage | undefined;
  /** Whether it may be served without asking the origin again. */
  isFresh(image: WaitingImage): boolean;
  /** Whether it is young enough to help out where the origin has failed. */
  mayHelp(image: WaitingImage): boolean;
  /**
   * The origin has it no more, has gone back to what is stored, or lets nothing be kept any longer: it is not stored, and
   * removed where that has happened, or is just happening (write-back.ts).
   */
  takeBack(image: WaitingImage): void;
  readonly size: number;
}

export interface WaitingParts {
  readonly stored: Pick<Stored, "bucketId" | "remove">;
  readonly writeBack: Pick<WriteBack, "tryAgain">;
  readonly standingOf: Ages["standingOf"];
  readonly log: Log;
}

export function createWaiting({ stored, writeBack, standingOf, log }: WaitingParts): WaitingImages {
  const images = new PassingMap<string, WaitingImage>();

  return {
    add(id, image, settled) {
      images.set(id, image);
      void settled.then(() => {
        if (images.get(id) === image) images.delete(id);
      });
    },
    newest({ id, epoch }) {
      const found = images.get(id);
      return found?.isWanted === true && found.fill.epoch >= epoch ? found : undefined;
    },
    isFresh: ({ info }) => standingOf({ info, isStale: false }) === "fresh",
    mayHelp: ({ info }) => standingOf({ info, isStale: false }) !== "must-ask",
    takeBack(image) {
      const { info, fill } = image;
      image.isWanted = false;
      // So that its file and note go now: a crash would leave them to the next start.
      writeBack.tryAgain(stored.bucketId, info.key);
      stored.remove(info, fill.epoch).catch((err: unknown) => {
        log.warn({ bucket: stored.bucketId, key: info.key, err }, "an image that is no more could not be removed");
      });
    },
    get size() {
      return images.size;
    },
  };
}

/** How a version that is whole is stored after one that may be on its way into the store: over that too, where it has been first. */
export function after(before: WaitingImage | undefined): { readonly after: string | undefined } {
  return { after: before && etagOf(before.info.hashes) };
}
